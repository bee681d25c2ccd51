package archive_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
	"tutela/internal/evidencetest"
)

func mailOf(header, body string) []byte {
	return []byte("From: a@example.org\r\nSubject: s\r\n" + header + "\r\n" + body)
}

// Boundaries that are lies, and what becomes of the parts.
func TestPartsOfMail(t *testing.T) {
	multi := func(boundary string) string { return "Content-Type: multipart/mixed; boundary=" + boundary + "\r\n" }
	picture := base64.StdEncoding.EncodeToString([]byte(jpeg))
	inJPEG := "Content-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n"
	for name, tc := range map[string]struct {
		content []byte
		want    string // names of the members
	}{
		"quoted boundary":        {mailOf(multi(`"a b"`), "--a b\r\n\r\nx\r\n--a b--\r\n"), "1.txt"},
		"boundary with a prefix": {mailOf(multi("a"), "--a\r\n"+multi("ab")+"\r\n--ab\r\n\r\nx\r\n--ab--\r\n--a\r\n\r\ny\r\n--a--"), "1.txt 2.txt"},
		"same boundary twice":    {mailOf(multi("a"), "--a\r\n"+multi("a")+"\r\n--a\r\n\r\nx\r\n--a--\r\n\r\n--a--"), "1.txt"},
		"outer closes inner":     {mailOf(multi("a"), "--a\r\n"+multi("b")+"\r\n--b\r\n\r\nx\r\n--a\r\n\r\ny\r\n--a--"), "1.txt 2.txt"},
		"no boundary told":       {mailOf("Content-Type: multipart/mixed\r\n", "--a\r\n\r\nx"), "1.bin"},
		"no part":                {mailOf(multi("a"), "nothing"), ""},
		"header without end":     {mailOf(multi("a"), "--a\r\nContent-Type: image/png"), "1.png"},
		"spaces behind":          {mailOf(multi("a"), "--a  \r\n\r\nx\r\n--a-- \r\n"), "1.txt"},
		"line feeds only":        {[]byte(strings.ReplaceAll(string(mailOf(multi("a"), "--a\r\n"+inJPEG+"\r\n"+picture+"\r\n--a--")), "\r", "")), "1.jpg"},
		"folded":                 {mailOf("Content-Type: multipart/mixed;\r\n\tboundary=a\r\n", "--a\r\n\r\nx\r\n--a--"), "1.txt"},
		"name in pieces":         {mailOf("Content-Type: image/png; name*1*=%C3%BC.png; name*0*=utf-8''a%20b\r\n", "x"), "1/a bü.png"},
		"name of words":          {mailOf("Content-Disposition: attachment; filename=\"=?iso-8859-1?Q?=FC?= =?utf-8?B?w7w=?=\"\r\n", "x"), "1/üü"},
		"name is a path":         {mailOf("Content-Disposition: attachment; filename=\"../../etc/\\\"x\"\r\n", "x"), `1/../../etc/"x`},
		"unknown encoding":       {mailOf("Content-Transfer-Encoding: rot13\r\n", "x"), "1.txt"},
	} {
		got := expand(t, tc.content, evidence.Limits{})
		var names []string
		for _, p := range got.paths {
			if name := strings.TrimPrefix(p, "/r!/"); name != "" {
				names = append(names, name)
			}
		}
		if have := strings.Join(names, " "); have != tc.want {
			t.Errorf("%s: %q, want %q, findings %v", name, have, tc.want, got.findings)
		}
	}
}

func TestBase64OfMail(t *testing.T) {
	for coded, want := range map[string]string{
		"YWJj\r\nZGVm": "abcdef", "YQ==YmM=": "abc", "YWI": "ab", "YW!J j": "abc", "": "", "====": "",
	} {
		got := list(t, "m.eml", mailOf("Content-Transfer-Encoding: base64\r\n", coded), evidence.Limits{})
		if !strings.Contains(got, digestOf(want)) {
			t.Errorf("%q: %s", coded, got)
		}
	}
}

func TestWhatIsMail(t *testing.T) {
	for head, want := range map[string]archive.Format{
		"From: a\nTo: b\n\ntext":                           "mail",
		"Received: from x\n\tby y\nSubject: z\n":           "mail",
		"1234      \nSubject: a\nDate: b\n\n":              "mail",
		"From a@b Fri Jan  2 03:04:05 2026\nTo: b\n":       "mbox",
		"From the beginning\nit was so\n":                  "",
		"Subject: one field is not enough\n\nFrom: a\n":    "",
		"name: value\nversion: 1\n":                        "",
		"package main\n\nfunc main() {}\n":                 "",
		"From: a\nnot a field\nTo: b\n":                    "",
		"1234\n5678\n":                                     "",
		"Date: 1\nTo: " + strings.Repeat("x", 600):         "",
		"DKIM-Signature: a=b; " + strings.Repeat("y", 600): "",
	} {
		if got := archive.Detect([]byte(head)[:min(len(head), archive.HeadBytes)]); got != want {
			t.Errorf("%.40q: %q, want %q", head, got, want)
		}
	}
}

func tnefAttribute(level byte, id uint32, value string) string {
	b := append([]byte{level}, binary.LittleEndian.AppendUint32(nil, id)...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
	var sum uint16
	for _, c := range []byte(value) {
		sum += uint16(c)
	}
	return string(binary.LittleEndian.AppendUint16(append(b, value...), sum))
}

func winmail() []byte {
	u32 := func(v ...uint32) string {
		var b []byte
		for _, v := range v {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
		return string(b)
	}
	long := utf16le("Übersicht lang.jpg\x00")
	props := u32(3, 0x37050003, 1, 0x37010102, 1, 3) + "abc\x00" + u32(0x3707001f, 1, uint32(len(long))) + long + strings.Repeat("\x00", -len(long)&3)
	return []byte("\x78\x9f\x3e\x22\x01\x00" + tnefAttribute(1, 0x0002800c, "the text") +
		tnefAttribute(2, 0x00069002, strings.Repeat("r", 14)) + tnefAttribute(2, 0x0006800f, jpeg) + tnefAttribute(2, 0x00018010, "BERSI~1.JPG\x00") + tnefAttribute(2, 0x00069005, props) +
		tnefAttribute(2, 0x00069002, strings.Repeat("r", 14)) + tnefAttribute(2, 0x00018010, "dunes.jpg\x00") + tnefAttribute(2, 0x0006800f, jpeg+"2"))
}

func TestWinmail(t *testing.T) {
	damaged := winmail()
	damaged[20] ^= 1
	evidencetest.GoldenText(t, "tnef", list(t, "winmail.dat", winmail(), evidence.Limits{})+
		list(t, "damaged.dat", damaged, evidence.Limits{})+list(t, "cut.dat", winmail()[:120], evidence.Limits{}))
}

// Parts in parts are bounded, and messages in messages by the nesting of all
// archives.
func TestDeepMail(t *testing.T) {
	var deep strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&deep, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	if got := expand(t, mailOf(deep.String(), "x"), evidence.Limits{}); len(got.paths) > 2 {
		t.Errorf("%d members", len(got.paths))
	}
	nested := strings.Repeat("From: a\r\nTo: b\r\nContent-Type: message/rfc822\r\n\r\n", 100) + "x"
	got := expand(t, []byte(nested), evidence.Limits{})
	if got.findings[tutela.FindingLimit] != 1 || len(got.paths) != 8 {
		t.Errorf("%d members, findings %v", len(got.paths), got.findings)
	}
}

func TestMailMutants(t *testing.T) {
	for _, content := range [][]byte{readTestdata(t, "mail/nested.eml"), readTestdata(t, "mail/box.mbox"), winmail()} {
		evidencetest.Mutants(t, openMembers(nil, evidence.Keys{}), content)
	}
}

func FuzzMail(f *testing.F) {
	f.Add([]byte("Content-Type: multipart/mixed; boundary=a\r\n"), []byte("--a\r\n\r\nbegin 644 x\r\n#86)C\r\n`\r\nend\r\n--a--"))
	f.Add([]byte("Content-Disposition: x; filename*0*=utf-8''%41; filename*1=b\r\nContent-Transfer-Encoding: quoted-printable\r\n"), []byte("=41=\r\n"))
	f.Fuzz(func(t *testing.T, header, body []byte) { fuzzExpand(t, mailOf(string(header), string(body))) })
}

func FuzzWinmail(f *testing.F) { fuzzDamage(f, nil, evidence.Keys{}, winmail()) }
