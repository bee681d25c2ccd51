package timestamp

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// issueBy has a key certify tsa.key with extensions of a section, into a file named
// for the section. It comes before the stamp, which must lie in the certificate's time.
func (a *opensslTSA) issueBy(issuer, section string) {
	a.run("req", "-new", "-key", "tsa.key", "-subj", "/O=Example/CN=Test TSA", "-out", "tsa.csr")
	a.run("x509", "-req", "-in", "tsa.csr", "-CA", issuer+".pem", "-CAkey", issuer+".key", "-CAcreateserial",
		"-extfile", "cnf", "-extensions", section, "-days", "20", "-out", section+".pem")
}

// cms signs the content of a stamp again by `openssl cms`, which does not ask what a
// certificate is for, and can do what `openssl ts` cannot.
func (a *opensslTSA) cms(signer string, content []byte, options ...string) []byte {
	a.t.Helper()
	a.write("content", content)
	a.run(append([]string{"cms", "-sign", "-binary", "-nodetach", "-in", "content", "-econtent_type", oidTSTInfo, "-cades", "-nosmimecap",
		"-md", "sha256", "-signer", signer, "-inkey", "tsa.key", "-outform", "DER", "-out", "token"}, options...)...)
	token, err := os.ReadFile(filepath.Join(a.dir, "token"))
	if err != nil {
		a.t.Fatal(err)
	}
	response, err := asn1.Marshal(struct {
		Status struct{ Code int }
		Token  asn1.RawValue
	}{Token: asn1.RawValue{FullBytes: token}})
	if err != nil {
		a.t.Fatal(err)
	}
	return response
}

// contentOf is the TSTInfo of a response.
func contentOf(t *testing.T, response []byte) []byte {
	t.Helper()
	token, err := parseResponse(response, textRefused)
	if err != nil {
		t.Fatal(err)
	}
	return token.content
}

// cmsHolds is what openssl says of the token, but for what its certificate is for.
func (a *opensslTSA) cmsHolds(options ...string) {
	a.t.Helper()
	a.run(append([]string{"cms", "-verify", "-binary", "-inform", "DER", "-in", "token", "-CAfile", "root.pem", "-purpose", "any", "-out", "verified"}, options...)...)
}

// RSA-PSS holds with a mask and a salt that fit, and no other.
func TestPSS(t *testing.T) {
	a := newOpenSSL(t, "sha256", rsaKey...)
	content := contentOf(t, a.stamp(message))
	pss := func(options ...string) []byte {
		return a.cms("tsa.pem", content, append([]string{"-keyopt", "rsa_padding_mode:pss"}, options...)...)
	}
	response := pss("-keyopt", "rsa_pss_saltlen:32")
	a.cmsHolds()
	if _, err := Verify(response, message, a.roots()); err != nil {
		t.Error(err)
	}
	for i := len(response) - 256; i < len(response); i += 17 {
		response[i] ^= 1
		if _, err := Verify(response, message, a.roots()); err == nil {
			t.Errorf("byte %d of the signature was changed, and it verifies", i)
		}
		response[i] ^= 1
	}
	for what, bad := range map[string][]byte{
		"a mask of SHA-1": pss("-keyopt", "rsa_pss_saltlen:32", "-keyopt", "rsa_mgf1_md:sha1"),
		"no salt":         pss("-keyopt", "rsa_pss_saltlen:0"),
	} {
		a.cmsHolds()
		if _, err := Verify(bad, message, a.roots()); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A chain over an intermediate certificate holds if the response brings it along.
func TestIntermediate(t *testing.T) {
	a := newOpenSSL(t, "sha256", ecdsaKey...)
	a.write("cnf", []byte("[ca]\nbasicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign\n"+strings.ReplaceAll(opensslConfig, "ALG", "sha256")))
	a.run(append(append([]string{"genpkey"}, ecdsaKey...), "-out", "between.key")...)
	a.run("req", "-new", "-key", "between.key", "-subj", "/CN=Between", "-out", "between.csr")
	a.run("x509", "-req", "-in", "between.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-extfile", "cnf", "-extensions", "ca", "-days", "20", "-out", "between.pem")
	a.issueBy("between", "ext")
	content := contentOf(t, a.stamp(message))
	response := a.cms("ext.pem", content, "-certfile", "between.pem")
	a.cmsHolds()
	s, err := Verify(response, message, a.roots())
	if err != nil || s.Authority != "CN=Test TSA,O=Example" {
		t.Errorf("%+v, %v", s, err)
	}
	if c, err := Inspect(response); err != nil || len(c.Certificates) != 2 || c.Certificates[0].Subject.CommonName != "Test TSA" {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := Verify(a.cms("ext.pem", content), message, a.roots()); !errors.Is(err, ErrStamp) || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("without the intermediate: %v", err)
	}
}

// A certificate that is for other things too, or does not say critically that it is
// for time-stamps alone, is refused, though its signature holds.
func TestCertificateForOtherThings(t *testing.T) {
	a := newOpenSSL(t, "sha256", ecdsaKey...)
	a.write("cnf", []byte("[lax]\nextendedKeyUsage = timeStamping\n[none]\nbasicConstraints = CA:FALSE\n[agree]\nextendedKeyUsage = critical,timeStamping\nkeyUsage = critical,keyAgreement\n"+strings.ReplaceAll(opensslConfig, "ALG", "sha256")))
	wants := map[string]string{
		"lax": "does not say critically", "two": "not for time-stamps alone", "none": "not for time-stamps alone", "agree": "not for signatures",
	}
	for section := range wants {
		a.issueBy("root", section)
	}
	a.issueBy("root", "ext")
	content := contentOf(t, a.stamp(message))
	for section, want := range wants {
		response := a.cms(section+".pem", content)
		if section != "agree" { // openssl itself refuses that one
			a.cmsHolds()
		}
		if _, err := Verify(response, message, a.roots()); !errors.Is(err, ErrStamp) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", section, err)
		}
	}
	if _, err := Verify(a.cms("ext.pem", content), message, a.roots()); err != nil {
		t.Errorf("as it must be: %v", err)
	}
}

// Stamps that public authorities gave years ago hold, though their certificates have
// expired: under the certificates that they bring along, not under one another's.
func TestStampsOfPublicAuthorities(t *testing.T) {
	rootsOf := map[string]*x509.CertPool{}
	responses := map[string][]byte{}
	for name, want := range map[string]string{"digicert-2018.tsr": "2018-05-09T18:48:18Z", "symantec-2018.tsr": "2018-05-09T18:25:22Z"} {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		response, err := Bare(raw)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Inspect(response)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		for _, issuer := range c.Certificates[1:] {
			roots.AddCert(issuer)
		}
		s, err := Verify(response, []byte("hello\n"), roots)
		if err != nil || s.Time.Format(time.RFC3339) != want {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		rootsOf[name], responses[name] = roots, response
	}
	if _, err := Verify(responses["digicert-2018.tsr"], []byte("hello\n"), rootsOf["symantec-2018.tsr"]); !errors.Is(err, ErrStamp) {
		t.Errorf("under another authority's certificate: %v", err)
	}
}
