/*
    PowerShell that hides what it runs.
*/

rule powershell_encoded_dropper : dropper windows
{
    meta:
        author = "Canh"
        description = "PowerShell that fetches or unpacks code and runs it at once, or is started with encoded commands"
        reference = "https://attack.mitre.org/techniques/T1059/001/"
        severity = "high"
        date = "2026-11-27"
    strings:
        // Every second byte of ASCII in UTF-16 is zero, so in base64 three of eight letters can hardly vary.
        $encoded = /\b(powershell|pwsh)(\.exe)?["']?\s[^\n]{0,160}[-\/]e(nc|ncodedcommand|c)?\s{1,8}["']?([A-Za-z0-9+\/][AQgw][AB][A-Za-z0-9+\/]A[A-H][A-Za-z0-9+\/]A){4}/ ascii wide nocase
        $run = /\b(iex|invoke-expression)\b/ ascii wide nocase
        $base64 = "frombase64string" ascii wide nocase
        $fetch = /\b(downloadstring|downloaddata|invoke-webrequest|iwr|invoke-restmethod|start-bitstransfer)\b/ ascii wide nocase
        $unpack = /\b(gzipstream|deflatestream)\b/ ascii wide nocase
        $hidden = /-w(indowstyle)?\s{1,8}(hidden|1)\b/ ascii wide nocase
        $reflect = /\[(system\.)?reflection\.assembly\]\s{0,4}::\s{0,4}load\b/ ascii wide nocase
    condition:
        filesize < 4MB and
        ($encoded or ($run and $base64 and ($unpack or $fetch or $reflect)) or ($run and $fetch and $hidden))
}

rule program_named_like_a_document : phishing windows
{
    meta:
        author = "Canh"
        description = "Windows program whose name ends like that of a document before its real extension"
        reference = "https://attack.mitre.org/techniques/T1036/007/"
        severity = "high"
        date = "2026-11-27"
    condition:
        uint16(0) == 0x5A4D and
        filename matches /\.(pdf|docx?|xlsx?|pptx?|rtf|txt|jpe?g|png|zip|rar)\s{0,60}\.(exe|scr|com|pif|cpl)$/i
}
