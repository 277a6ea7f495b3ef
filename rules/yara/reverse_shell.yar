/*
    Scripts that give somebody elsewhere a shell. Each part alone is ordinary; together they are not.
*/

rule reverse_shell_script : backdoor
{
    meta:
        author = "Canh"
        description = "Script that connects a shell with an address elsewhere"
        reference = "https://attack.mitre.org/techniques/T1059/004/"
        severity = "high"
        date = "2026-11-27"
    strings:
        $bash = /\b(ba|z|k|da)?sh\s{1,4}-i\b[^\n]{0,40}(>&|&>|>)\s{0,4}\/dev\/(tcp|udp)\/[^\s\/]{3,120}\/[0-9]{1,5}/
        $bash_read = /\bexec\s{1,4}[0-9]{1,3}<>\s{0,4}\/dev\/(tcp|udp)\/[^\s\/]{3,120}\/[0-9]{1,5}/
        $pipe = /\bmkfifo\s{1,4}(\/[^\s;&|]{1,80})[^\n]{0,200}\b(ba|da)?sh\b[^\n]{0,80}\|\s{0,4}(nc|ncat|netcat|telnet|openssl\s{1,4}s_client)\b/
        $netcat = /\b(nc|ncat|netcat)\b[^\n|;]{0,80}\s(-e|--exec|-c|--sh-exec)\s{0,4}["']?(\/bin\/|cmd)[a-z.]{0,12}/
        $python = /\bos\s{0,4}\.\s{0,4}dup2\s{0,4}\(\s{0,4}\w{1,40}\s{0,4}\.\s{0,4}fileno\s{0,4}\(\s{0,4}\)\s{0,4},\s{0,4}[012]\b/
        $python_shell = /\b(pty\s{0,4}\.\s{0,4}spawn|subprocess\s{0,4}\.\s{0,4}(call|Popen|run)|os\s{0,4}\.\s{0,4}(execve?|system))\s{0,4}\(\s{0,4}\[?\s{0,4}["'](\/bin\/|cmd)/
        $perl = /\bopen\s{0,4}\(\s{0,4}STDIN\s{0,4},\s{0,4}["']>&/
        $perl_shell = /\bexec\s{0,4}[({]?\s{0,4}["']\/bin\/(ba)?sh\b/
        $php_socket = /\b(fsockopen|stream_socket_client)\s{0,4}\(/
        $php_shell = /\b(proc_open|exec|shell_exec|popen|system|passthru)\s{0,4}\(\s{0,4}["'](\/bin\/)?(ba)?sh\s{1,4}-i\b/
    condition:
        filesize < 512KB and uint32be(0) != 0x7f454c46 and uint16(0) != 0x5A4D and
        (
            $bash or $pipe or $netcat or
            ($bash_read and filesize < 4KB) or
            ($python and $python_shell) or
            ($perl and $perl_shell) or
            ($php_socket and $php_shell)
        )
}

rule reverse_shell_powershell : backdoor windows
{
    meta:
        author = "Canh"
        description = "PowerShell that runs what comes over a connection and sends back what it prints"
        reference = "https://attack.mitre.org/techniques/T1059/001/"
        severity = "high"
        date = "2026-11-27"
    strings:
        $socket = /\bnet\.sockets\.tcpclient\b/ ascii wide nocase
        $stream = /\.getstream\s{0,4}\(\s{0,4}\)/ ascii wide nocase
        $read = /\.read\s{0,4}\(/ ascii wide nocase
        $run = /\b(iex|invoke-expression)\b/ ascii wide nocase
        $write = /\.write\s{0,4}\(/ ascii wide nocase
    condition:
        filesize < 1MB and all of them
}
