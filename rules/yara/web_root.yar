/*
    Programs where only pages belong.
*/

rule elf_as_web_script : webshell linux
{
    meta:
        author = "Canh"
        description = "Linux program with the name of a page or picture, or in a directory for uploads"
        reference = "https://attack.mitre.org/techniques/T1036/008/"
        severity = "high"
        date = "2026-11-27"
    condition:
        uint32be(0) == 0x7f454c46 and
        (
            extension matches /^\.(php[0-9]?|phtml|jspx?|aspx?|html?|jpe?g|png|gif|css|js|txt)$/i or
            filepath matches /\/(htdocs|wwwroot|public_html|webapps|www\/html)\/(.{0,200}\/)?(uploads?|images?|files|tmp|media)\//i
        )
}

rule script_carries_elf : dropper linux
{
    meta:
        author = "Canh"
        description = "Page or shell script that carries a Linux program as text"
        reference = "https://attack.mitre.org/techniques/T1027/009/"
        severity = "high"
        date = "2026-11-27"
    strings:
        $script = /^\s{0,16}(#!|<\?|<%)/
        // The first bytes of 32 and 64 bit programs, little endian, in base64 and in escapes.
        $base64 = /f0VMRg[EI]BAQ[A-Za-z0-9+\/]{40}/
        $escaped = /\\x7f(\\x45\\x4c\\x46|ELF)(\\x0[12]){3}/ nocase
        $octal = /\\177(\\105\\114\\106|ELF)\\00?[12]/
        $decode = /\b(base64_decode|b64decode|base64\s{1,4}(-d|--decode|-D)|FromBase64String|decodeBase64|printf|echo\s{1,4}-[a-z]{0,3}e|file_put_contents)\b/
    condition:
        filesize < 16MB and $script in (0..32) and $decode and ($base64 or $escaped or $octal)
}
