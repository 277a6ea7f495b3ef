/*
    Notes that a blackmailer leaves behind, in Vietnamese and English. Vietnamese is looked for with its marks and without.
*/

rule ransom_note : ransomware
{
    meta:
        author = "Canh"
        description = "Short text that says that files are encrypted and asks for money or contact"
        reference = "https://attack.mitre.org/techniques/T1486/"
        severity = "critical"
        date = "2026-11-27"
    strings:
        $done_en = /\b(files|documents|data|network|servers?)\b.{0,60}\b(have been|has been|are|were|was|is)\b.{0,20}\b(encrypted|locked|stolen)\b/ ascii wide nocase
        $done_vi = /(t\xe1\xbb\x87p|t\xe1\xba\xadp tin|d\xe1\xbb\xaf li\xe1\xbb\x87u|m\xc3\xa1y ch\xe1\xbb\xa7).{0,80}m\xc3\xa3 (h\xc3\xb3a|ho\xc3\xa1)/ nocase
        $done_plain = /\b(tep|tap tin|du lieu|may chu)\b.{0,60}\bma hoa\b/ ascii wide nocase
        $pay = /\b(bitcoin|btc|monero|xmr|ransom|decrypt(or|ion)? (key|tool)|usdt)\b/ ascii wide nocase
        $pay_vi = /(ti\xe1\xbb\x81n chu\xe1\xbb\x99c|thanh to\xc3\xa1n|kh\xc3\xb3a gi\xe1\xba\xa3i m\xc3\xa3|kho\xc3\xa1 gi\xe1\xba\xa3i m\xc3\xa3)/ nocase
        $pay_plain = /\b(tien chuoc|khoa giai ma)\b/ ascii wide nocase
        $contact = /\b([a-z2-7]{16}|[a-z2-7]{56})\.onion\b|@(proton(mail)?|tuta(nota|mail)?|onionmail|cock)\.[a-z]{2,4}\b|\b(tor browser|tox id|qtox|session id)\b/ ascii wide nocase
        $threat = /\b(do not|don't|never)\b.{0,40}\b(rename|modify|decrypt|recover|shut ?down|contact the police)\b/ ascii wide nocase
        $threat_vi = /(kh\xc3\xb4ng \xc4\x91\xc6\xb0\xe1\xbb\xa3c|\xc4\x91\xe1\xbb\xabng).{0,40}(\xc4\x91\xe1\xbb\x95i t\xc3\xaan|kh\xc3\xb4i ph\xe1\xbb\xa5c|t\xe1\xbb\xb1 gi\xe1\xba\xa3i m\xc3\xa3|s\xe1\xbb\xada)/ nocase
    condition:
        filesize < 64KB and 1 of ($done*) and 1 of ($pay*) and ($contact or 1 of ($threat*))
}
