/*
    Web shells by what they must do: run something that came with the request. Names and passwords of known ones are left
    out, because they change first.
*/

rule web_shell_php_request_runs : webshell php
{
    meta:
        author = "Canh"
        description = "PHP that runs what the request says"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        severity = "high"
        date = "2026-11-27"
    strings:
        $php = /<\?(php|=|\s)/ nocase
        // A function that runs code or commands, at most two decoders, and a value of the request.
        $direct = /\b(eval|assert|system|exec|passthru|shell_exec|popen|proc_open|pcntl_exec|create_function)\s{0,8}\(\s{0,8}@?\s{0,8}([a-z0-9_]{3,24}\s{0,8}\(\s{0,8}){0,2}@?\$_(GET|POST|REQUEST|COOKIE|SERVER|FILES)\b/ nocase
        // The request names the function that is called.
        $named = /\$_(GET|POST|REQUEST|COOKIE)\s{0,8}\[[^\]]{1,40}\]\s{0,8}\(\s{0,8}@?\$_(GET|POST|REQUEST|COOKIE)\b/ nocase
        $ticks = /`[^`\n]{0,60}\$_(GET|POST|REQUEST|COOKIE)\b[^`\n]{0,60}`/ nocase
    condition:
        filesize < 2MB and $php and ($direct or $named or $ticks)
}

rule web_shell_php_packed_code : webshell php
{
    meta:
        author = "Canh"
        description = "PHP that runs code unpacked from a long text"
        reference = "https://attack.mitre.org/techniques/T1027/"
        severity = "high"
        date = "2026-11-27"
    strings:
        $php = /<\?(php|=|\s)/ nocase
        $run = /\b(eval|assert|create_function)\s{0,8}\(\s{0,8}@?(gzinflate|gzuncompress|gzdecode|str_rot13|base64_decode|strrev)\s{0,8}\(/ nocase
        $long = /['"][A-Za-z0-9+\/=]{200}/
    condition:
        filesize < 2MB and $php and $run and $long
}

rule web_shell_jsp_command : webshell jsp
{
    meta:
        author = "Canh"
        description = "JSP that starts a program with a parameter of the request"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        severity = "high"
        date = "2026-11-27"
    strings:
        $page = "<%"
        $jspx = "<jsp:scriptlet" nocase
        $parameter = /request\s{0,8}\.\s{0,8}get(Parameter|Header|QueryString|InputStream|Reader)\s{0,8}\(/
        $run = /getRuntime\s{0,8}\(\s{0,8}\)\s{0,8}\.\s{0,8}exec\s{0,8}\(/
        $builder = /new\s{1,8}(java\.lang\.)?ProcessBuilder\s{0,8}\(/
        $class = /\bdefineClass\s{0,8}\(/
        $reflected = /getMethod\s{0,8}\(\s{0,8}"(exec|getRuntime|defineClass)"/
    condition:
        filesize < 512KB and ($page or $jspx) and $parameter and 1 of ($run, $builder, $class, $reflected)
}

rule web_shell_aspx_command : webshell aspx
{
    meta:
        author = "Canh"
        description = "ASP.NET page that runs what the request says"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        severity = "high"
        date = "2026-11-27"
    strings:
        $page = /<%\s{0,8}(@|=|[A-Za-z]{3})|<script[^>]{0,80}runat/ nocase
        $directive = /<%@\s{0,8}(page|control|webhandler|webservice)\b|<script[^>]{0,80}\brunat\s{0,4}=/ nocase
        $eval = /\beval\s{0,8}\(\s{0,8}(System\.Text\.[^)]{0,120})?Request\b/ nocase
        $execute = /\bexecute(global)?\s{0,8}[( ]\s{0,8}Request\b/ nocase
        $request = /\bRequest\s{0,8}(\.(Item|Form|QueryString|Params|Headers|Cookies|InputStream|BinaryRead)|\[|\()/ nocase
        $process = /\b(Process\.Start|new\s{1,8}(System\.Diagnostics\.)?Process(StartInfo)?)\s{0,8}\(/ nocase
        $shell = /\b(cmd|powershell)(\.exe)?\b/ nocase
        $assembly = /Assembly\s{0,8}\.\s{0,8}Load\s{0,8}\(/ nocase
    condition:
        filesize < 512KB and (($page and ($eval or $execute)) or ($directive and $request and (($process and $shell) or $assembly)))
}
