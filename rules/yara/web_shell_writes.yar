/*
    Web shells that hide how they run something, or that first put a file in place: uploaders and settings that make a
    server run what it should only hand out.
*/

rule web_shell_php_callback : webshell php
{
    meta:
        author = "Canh"
        description = "PHP that hands a value of the request to a function which runs code, by its name"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        severity = "high"
        date = "2026-11-27"
    strings:
        $php = /<\?(php|=|\s)/ nocase
        // The name of a function that runs code, as a text beside a value of the request.
        $mapped = /\b(array_(map|filter|walk|reduce|udiff|uintersect)|u[ak]?sort|call_user_func(_array)?|register_(shutdown|tick)_function|preg_replace_callback)\s{0,8}\([^;]{0,160}['"](assert|system|exec|passthru|shell_exec|popen|eval)['"][^;]{0,160}\$_(GET|POST|REQUEST|COOKIE)\b/ nocase
        $mapped_after = /\b(array_(map|filter|walk)|u[ak]?sort|array_walk)\s{0,8}\(\s{0,8}\$_(GET|POST|REQUEST|COOKIE)[^;]{0,80}['"](assert|system|exec|passthru|shell_exec)['"]/ nocase
        // The name put together from parts.
        $joined = /\$([A-Za-z_]\w{0,30})\s{0,8}=\s{0,8}['"](a|as|ass|asse|asser|s|sy|sys|syst|syste|e|ex|exe|p|pa|pas|pass|sh|she|shel|shell)['"]\s{0,4}\.\s{0,4}['"][a-z_]{1,12}['"]/ nocase
        $called = /\$[A-Za-z_]\w{0,30}\s{0,4}\(\s{0,8}@?\$_(GET|POST|REQUEST|COOKIE)\b/ nocase
    condition:
        filesize < 2MB and $php and ($mapped or $mapped_after or ($joined and $called))
}

rule web_shell_php_includes_request : webshell php
{
    meta:
        author = "Canh"
        description = "PHP that includes a file which the request names, or the body of the request"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        severity = "high"
        date = "2026-11-27"
    strings:
        $php = /<\?(php|=|\s)/ nocase
        $included = /\b(include|require)(_once)?\s{0,8}\(?\s{0,8}@?\$_(GET|POST|REQUEST|COOKIE)\b/ nocase
        $stream = /\b(include|require)(_once)?\s{0,8}\(?\s{0,8}['"](php:\/\/input|data:)/ nocase
    condition:
        filesize < 2MB and $php and ($included or $stream)
}

rule web_shell_php_writes_request : webshell php
{
    meta:
        author = "Canh"
        description = "PHP that writes what the request says into a file that the request names"
        reference = "https://attack.mitre.org/techniques/T1105/"
        severity = "high"
        date = "2026-11-27"
    strings:
        $php = /<\?(php|=|\s)/ nocase
        $written = /\b(file_put_contents|fopen)\s{0,8}\(\s{0,8}@?[^;,]{0,60}\$_(GET|POST|REQUEST|COOKIE)[^;,]{0,60},[^;]{0,80}\$_(GET|POST|REQUEST|COOKIE)\b/ nocase
    condition:
        filesize < 2MB and $php and $written
}

rule web_shell_jsp_writes_request : webshell jsp
{
    meta:
        author = "Canh"
        description = "JSP that writes what the request says into a file that the request names"
        reference = "https://attack.mitre.org/techniques/T1105/"
        severity = "high"
        date = "2026-11-27"
    strings:
        $page = "<%"
        $jspx = "<jsp:scriptlet" nocase
        $named = /new\s{1,8}(java\.io\.)?(FileOutputStream|FileWriter|RandomAccessFile|File)\s{0,8}\([^;]{0,120}request\s{0,8}\.\s{0,8}get(Parameter|Header)\s{0,8}\(/
        $written = /\.\s{0,4}(write|print|println|append)\s{0,8}\([^;]{0,80}request\s{0,8}\.\s{0,8}get(Parameter|Header|InputStream|Reader)\s{0,8}\(/
    condition:
        filesize < 512KB and ($page or $jspx) and $named and $written
}

rule web_shell_aspx_writes_request : webshell aspx
{
    meta:
        author = "Canh"
        description = "ASP.NET page that writes what the request says into a file that the request names"
        reference = "https://attack.mitre.org/techniques/T1105/"
        severity = "high"
        date = "2026-11-27"
    strings:
        $directive = /<%@\s{0,8}(page|control|webhandler|webservice)\b|<script[^>]{0,80}\brunat\s{0,4}=/ nocase
        $written = /\b(File\s{0,4}\.\s{0,4}(WriteAll(Text|Bytes|Lines)|AppendAllText|Create(Text)?)|new\s{1,8}(System\.IO\.)?StreamWriter)\s{0,8}\([^;]{0,80}\bRequest\b[^;]{0,120}\bRequest\b/ nocase
    condition:
        filesize < 512KB and $directive and $written
}

rule web_shell_config_runs_scripts : webshell
{
    meta:
        author = "Canh"
        description = "Settings of a directory that make a web server run files which are no scripts"
        reference = "https://attack.mitre.org/techniques/T1505/004/"
        severity = "high"
        date = "2026-11-27"
    strings:
        // IIS: the settings themselves, or pictures, as a script.
        $handler = /<add\b[^>]{0,200}\bpath\s{0,4}=\s{0,4}"\*\.(config|txt|jpe?g|png|gif|css|html?)"[^>]{0,200}\bscriptProcessor\s{0,4}=/ nocase
        // Apache: the same.
        $type = /^\s{0,16}(AddType\s{1,8}application\/x-httpd-php[0-9]?|AddHandler\s{1,8}(application\/x-httpd-php|php[0-9]?-script|cgi-script))[^\n]{0,80}\.(jpe?g|png|gif|txt|html?|css|ico|log)\b/ nocase
        $type_later = /\n\s{0,16}(AddType\s{1,8}application\/x-httpd-php[0-9]?|AddHandler\s{1,8}(application\/x-httpd-php|php[0-9]?-script|cgi-script))[^\n]{0,80}\.(jpe?g|png|gif|txt|html?|css|ico|log)\b/ nocase
    condition:
        filesize < 256KB and
        ((filename matches /^web\.config$/i and $handler) or (filename matches /^\.htaccess$/i and ($type at 0 or $type_later)))
}
