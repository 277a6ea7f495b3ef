/*
    Programs that earn digital money on somebody else's machine, by what they need: a pool, and the words of its protocol.
*/

rule miner_settings : miner
{
    meta:
        author = "Canh"
        description = "Settings or start of a program that mines digital money"
        reference = "https://attack.mitre.org/techniques/T1496/"
        severity = "high"
        date = "2026-11-27"
    strings:
        $pool = /\bstratum\+(tcp|ssl|tls):\/\//
        $pool_option = /\s(-o|--url)[\s=][A-Za-z0-9.\-]{3,120}:[0-9]{2,5}\b/
        $algorithm = /["'\s=](rx\/(0|wow|arq)|randomx|cryptonight|cn\/(r|gpu|half)|kawpow|ethash|argon2\/chukwa)["'\s,]/ nocase
        $coin = /--coin[\s=](monero|xmr|ravencoin|etc)\b/ nocase
        $donate = /["'\s]?(--donate-level|"donate-level"|--cpu-max-threads-hint|"max-threads-hint")/
        $rig = /--(rig-id|nicehash|cpu-priority|randomx-1gb-pages)\b/
    condition:
        filesize < 256KB and uint32be(0) != 0x7f454c46 and uint16(0) != 0x5A4D and
        (($pool and ($algorithm or $donate or $coin)) or ($pool_option and $donate and ($coin or $algorithm or $rig)))
}

rule miner_program : miner
{
    meta:
        author = "Canh"
        description = "Program that speaks the protocol of a mining pool"
        reference = "https://attack.mitre.org/techniques/T1496/"
        severity = "high"
        date = "2026-11-27"
    strings:
        $pool = "stratum+tcp://"
        $pool_tls = "stratum+ssl://"
        $subscribe = "mining.subscribe"
        $submit = "mining.submit"
        $login = "\"method\":\"login\""
        $randomx = "randomx" nocase
        $cryptonight = "cryptonight" nocase
        $donate = "donate-level"
    condition:
        filesize < 64MB and (uint32be(0) == 0x7f454c46 or uint16(0) == 0x5A4D) and
        1 of ($pool*) and 2 of ($subscribe, $submit, $login, $randomx, $cryptonight, $donate)
}

rule miner_installs_itself : miner linux
{
    meta:
        author = "Canh"
        description = "Script that ends other miners, fetches a program and has it started again and again"
        reference = "https://attack.mitre.org/techniques/T1496/"
        severity = "critical"
        date = "2026-11-27"
    strings:
        $script = /^\s{0,16}#!/
        $rivals = /\b(pkill|killall|kill\s{1,4}-9|grep)\b[^\n]{0,80}\b(xmrig|kinsing|kdevtmpfsi|minerd|cryptonight|stratum|monero|c3pool)/ nocase
        $fetch = /\b(curl|wget)\b[^\n]{0,200}https?:\/\//
        $again = /\bcrontab\s{1,4}(-\s{0,4}(\n|$|[;&|])|\/)|\/etc\/cron|\bsystemctl\s{1,4}enable\b|authorized_keys/
    condition:
        filesize < 1MB and $script at 0 and $rivals and $fetch and $again
}
