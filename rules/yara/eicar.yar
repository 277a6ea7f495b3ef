/*
    The harmless file with which every scanner is tested. Its text stands here in two parts, so that this file is not
    taken for it.
*/

rule eicar_test_file : test
{
    meta:
        author = "Canh"
        description = "EICAR anti-malware test file"
        reference = "https://www.eicar.org/download-anti-malware-testfile/"
        severity = "low"
        date = "2026-11-27"
    strings:
        $head = "X5O!P%@AP[4\\PZX54(P^)7CC)7}"
        $name = "$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!"
    condition:
        filesize < 1KB and $head in (0..16) and $name
}
