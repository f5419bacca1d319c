package provider

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// failureCode returns the code of a failure, "" for none, and "another error" for an error
// after which the webhook must be sent again.
func failureCode(err error) string {
	if err == nil {
		return ""
	}
	if failure, ok := errors.AsType[*Failure](err); ok {
		return failure.Code
	}
	return "another error"
}

// A webhook whose checksum is above 2^31, so that a signed number would be negative.
const paypalBody = `{"id":"WH-1","event_type":"X","create_time":"2026-01-04T10:00:00Z","n":3}`

func TestPayPalSignature(t *testing.T) {
	server := startCertServer(t)
	p := server.adapter(t)
	sum := crc32.ChecksumIEEE([]byte(paypalBody))
	if sum < 1<<31 {
		t.Fatalf("the checksum of the body is %d, want one above 2^31", sum)
	}
	sign := func(change func(signed []string)) func(*Request) {
		return func(r *Request) {
			signed := []string{r.Header.Get(paypalID), r.Header.Get(paypalTime), testWebhookID, fmt.Sprint(sum)}
			change(signed)
			r.Header.Set(paypalSignature, paypalSignatureOf(t, signed...))
		}
	}
	set := func(name, value string) func(*Request) { return func(r *Request) { r.Header.Set(name, value) } }
	for name, c := range map[string]struct {
		change func(*Request)
		want   string
	}{
		"authentic":    {func(*Request) {}, ""},
		"another body": {func(r *Request) { r.Body[len(r.Body)-2] = '4' }, SignatureInvalid},
		"another id":   {set(paypalID, "69cd13f0-d67a-11e5-baa3-778b53f4ae56"), SignatureInvalid},
		"another time": {func(r *Request) { r.Header.Set(paypalTime, r.ReceivedAt.Add(time.Second).UTC().Format(time.RFC3339)) }, SignatureInvalid},
		"the same time in another zone": {func(r *Request) {
			r.Header.Set(paypalTime, strings.Replace(r.Header.Get(paypalTime), "Z", "+00:00", 1))
		}, SignatureInvalid},
		"another webhook id":         {sign(func(s []string) { s[2] = "9PT597110X687430LKGECATA" }), SignatureInvalid},
		"the simulator's webhook id": {sign(func(s []string) { s[2] = "WEBHOOK_ID" }), SignatureInvalid},
		"a signed checksum":          {sign(func(s []string) { s[3] = fmt.Sprint(int32(sum)) }), SignatureInvalid},
		"a hexadecimal checksum":     {sign(func(s []string) { s[3] = fmt.Sprintf("%x", sum) }), SignatureInvalid},
		"the checksum of Castagnoli": {sign(func(s []string) {
			s[3] = fmt.Sprint(crc32.Checksum([]byte(paypalBody), crc32.MakeTable(crc32.Castagnoli)))
		}), SignatureInvalid},
		"an empty signature of PKCS 1":   {set(paypalSignature, "AAAA"), SignatureInvalid},
		"not base64":                     {set(paypalSignature, "not base64"), SignatureMalformed},
		"base64 with trailing bits":      {set(paypalSignature, "AB=="), SignatureMalformed},
		"another algorithm":              {set(paypalAlgorithm, "SHA1withRSA"), SignatureMalformed},
		"no algorithm by name":           {set(paypalAlgorithm, "none"), SignatureMalformed},
		"an algorithm in another case":   {set(paypalAlgorithm, "sha256withrsa"), SignatureMalformed},
		"two values":                     {func(r *Request) { r.Header.Add(paypalID, "2") }, SignatureMalformed},
		"a blank header":                 {set(paypalSignature, " "), SignatureMissing},
		"no time":                        {set(paypalTime, "yesterday"), SignatureMalformed},
		"a time in seconds":              {set(paypalTime, "1767520800"), SignatureMalformed},
		"at the edge of the tolerance":   {func(r *Request) { r.ReceivedAt = signedAt(t, r).Add(DefaultTolerance) }, ""},
		"after the tolerance":            {func(r *Request) { r.ReceivedAt = signedAt(t, r).Add(DefaultTolerance + time.Second) }, TimestampOutOfBounds},
		"from the future":                {func(r *Request) { r.ReceivedAt = signedAt(t, r).Add(-DefaultTolerance - time.Second) }, TimestampOutOfBounds},
		"from the future, but in bounds": {func(r *Request) { r.ReceivedAt = signedAt(t, r).Add(-DefaultTolerance) }, ""},
	} {
		r := server.request(t, paypalBody)
		c.change(r)
		if secret, err := p.Verify(t.Context(), r); failureCode(err) != c.want || secret != 0 {
			t.Errorf("%s: Verify() = %d, %v, want 0 and %q", name, secret, err, c.want)
		}
	}
	for _, name := range []string{paypalID, paypalTime, paypalSignature, paypalCertURL, paypalAlgorithm} {
		r := server.request(t, paypalBody)
		r.Header.Del(name)
		if _, err := p.Verify(t.Context(), r); failureCode(err) != SignatureMissing || !strings.Contains(err.Error(), name) {
			t.Errorf("Verify() without %s = %v, want %s with the name", name, err, SignatureMissing)
		}
	}
}

func signedAt(t *testing.T, r *Request) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, r.Header.Get(paypalTime))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// Each byte of what is signed matters.
func TestPayPalSignatureOfEachByte(t *testing.T) {
	server := startCertServer(t)
	p := server.adapter(t)
	for i := range paypalBody {
		r := server.request(t, paypalBody)
		r.Body[i] ^= 1
		if _, err := p.Verify(t.Context(), r); failureCode(err) != SignatureInvalid {
			t.Fatalf("Verify() with another byte %d of the body = %v, want %s", i, err, SignatureInvalid)
		}
	}
	for _, name := range []string{paypalID, paypalTime, paypalSignature} {
		for i := range server.request(t, paypalBody).Header.Get(name) {
			r := server.request(t, paypalBody)
			value := []byte(r.Header.Get(name))
			value[i] ^= 1
			r.Header.Set(name, string(value))
			if _, err := p.Verify(t.Context(), r); err == nil || failureCode(err) == "another error" {
				t.Fatalf("Verify() with another byte %d of %s = %v, want a failure", i, name, err)
			}
		}
	}
}

// A webhook that PayPal's simulator sent on 2024-08-02 and signed with the certificate
// CERT-360caa42-fca2a594-1a5f47cb, for the webhook WEBHOOK_ID and a body of 1137 bytes
// with the checksum 3943799371.
const (
	paypalVectorID        = "4cce5920-5106-11ef-84e2-f38df3f70683"
	paypalVectorTime      = "2024-08-02T19:34:57Z"
	paypalVectorChecksum  = 3943799371
	paypalVectorSignature = "Kg+nPYIGXGAVA5sELwiLBTVZwzwssEAt/DI3/xDsjzwd1OMvddW2tFSpx4twvxEZS32fGVxZ4XRMWaMXYSBlFC09RpYNbA16r/WP8YV3KjaSzAc+btQyfUSR" +
		"ypr1mUsuWRL0DJnkLoC/KhCa4m3ZKFD4bFo5ZlWzdG2u5QgzL+YC/YmAhJGtcv6CIEN1rWB5OWuupVLhb+qYjhUH+99xsc5U2CihB65HFbtQqagX7YNFtOxEF5ck" +
		"qSdgAYoMPECBCX8zOrDMy2UUaIvQpyhm0G3MF/IG3IPnRgP+ycN+AOjdsBGAWWwtZoXTPQ0mKH7oop4OrMNy4BPfE/8agUDxkw=="
	paypalVectorModulus = "uBs6F2wG2WNZza0erK/1hgSh67+TM1yvkGNpbTdHmRUjEd0PxYU0lSshRhLaqXZFbtkcJyZ6c9HbQwJ7LAWUwxP93Wnxk+NXDz7Y0E8f1S4QtJ6FfkgnMGJNgb+7" +
		"5tkaniVFFak4aLjZmT2kWTaTD0AwKnR1KCMUpP5EJYT1R4UwqY2PcMFG8J+PRP/n+OFvO5JHl7K203rem0nqoFtaMu7I9kEdL4NsYtcmMnTaoTIbHHod6Ve6kX75" +
		"T+0b98qK7AlmVwG8UgezCs3ErJzNp+IhNtKU1lolGiizyC+L06n5dHKkcoCsdD3MuGpJ8SEcGyPAG+Pd4+XNkZrcb+GSYQ=="
)

// TestPayPalPublishedVector checks what is signed, and that only the checksum of the body
// is: the vector's own body is not needed.
func TestPayPalPublishedVector(t *testing.T) {
	modulus, err := base64.StdEncoding.DecodeString(paypalVectorModulus)
	if err != nil {
		t.Fatal(err)
	}
	server := startCertServer(t)
	p := server.adapter(t)
	p.WebhookID = "WEBHOOK_ID"
	at, err := time.Parse(time.RFC3339, paypalVectorTime)
	if err != nil {
		t.Fatal(err)
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537}
	p.certs.keep(server.url("CERT-1"), paypalCertificate{key: key, from: at, until: at})
	r := server.requestAt(t, "", at)
	r.Header.Set(paypalID, paypalVectorID)
	r.Header.Set(paypalSignature, paypalVectorSignature)
	r.Body = withChecksum([]byte(`{"id":"WH-1"}`), paypalVectorChecksum)
	if _, err := p.Verify(t.Context(), r); err != nil {
		t.Errorf("Verify() of the published vector = %v, want no error", err)
	}
	r.Body[0]++
	if _, err := p.Verify(t.Context(), r); failureCode(err) != SignatureInvalid {
		t.Errorf("Verify() of the published vector with another body = %v, want %s", err, SignatureInvalid)
	}
}

// withChecksum returns a body with four bytes more, so that it has the checksum.
func withChecksum(body []byte, want uint32) []byte {
	// Go back from the wanted checksum through the four bytes, then forward.
	state := ^want
	for range 4 {
		for i, entry := range crc32.IEEETable {
			if entry>>24 == state>>24 {
				state = (state^entry)<<8 | uint32(i)
				break
			}
		}
	}
	return binary.LittleEndian.AppendUint32(body, state^^crc32.ChecksumIEEE(body))
}

// An attacker chooses the URL of the certificate, and nothing may follow from it.
func TestPayPalCertificateURL(t *testing.T) {
	const path = "/v1/notifications/certs/CERT-360caa42-fca2a594-1a5f47cb"
	trusted := map[Environment][]string{
		Live: {"https://api.paypal.com" + path, "https://api-m.paypal.com" + path, "https://paypal.com" + path},
		Test: {"https://api.sandbox.paypal.com" + path, "https://api-m.sandbox.paypal.com" + path, "https://sandbox.paypal.com" + path},
	}
	for environment, other := range map[Environment]Environment{Live: Test, Test: Live} {
		adapter, err := New(Settings{Provider: PayPal, Environment: environment, WebhookID: testWebhookID})
		if err != nil {
			t.Fatal(err)
		}
		p := adapter.(*paypal)
		for _, url := range trusted[environment] {
			if err := p.checkCertURL(url); err != nil {
				t.Errorf("%s: checkCertURL(%s) = %v, want no error", environment, url, err)
			}
		}
		host := strings.TrimSuffix(strings.TrimPrefix(trusted[environment][0], "https://"), path)
		for _, url := range append(trusted[other],
			"", "https://", "https:"+path, "/"+path, path, "//"+host+path, host+path,
			"http://"+host+path, "HTTPS://"+host+path, "ftp://"+host+path, "file://"+path,
			"https://"+host+":443"+path, "https://"+host+":8443"+path, "https://"+host+":"+path, "https://"+host+":0443"+path,
			"https://user@"+host+path, "https://user:password@"+host+path, "https://@"+host+path, "https://"+host+"@evil.example"+path,
			"https://evil.example#@"+host+path, `https://evil.example\@`+host+path, "https://evil.example/@"+host+path, "https://evil.example?"+host+path,
			"https://"+host+".evil.example"+path, "https://paypal.com.evil.example"+path, "https://evilpaypal.com"+path, "https://evil-paypal.com"+path,
			"https://apiXpaypal.com"+path, "https://api.paypal.co"+path, "https://api.paypal.com."+path, "https://.paypal.com"+path, "https://-..paypal.com"+path,
			"https://api.paypal.com%2eevil.example"+path, "https://api.paypal.com%00.evil.example"+path, "https://API.PAYPAL.COM"+path,
			"https://127.0.0.1"+path, "https://[::1]"+path, "https://169.254.169.254"+path, "https://2130706433"+path, "https://0x7f.1"+path, "https://localhost"+path,
			"https://api.pаypal.com"+path, "https://api.paypal。com"+path, "https://xn--api-paypal.com"+path, "https://api.paypal.com\u200b"+path, "https://ａpi.paypal.com"+path,
			" https://"+host+path, "https://"+host+path+" ", "https://"+host+path+"\n", "https://"+host+"\t"+path, "https://"+host+" "+path,
			"https://"+host, "https://"+host+"/", "https://"+host+"/v1/notifications/certs/", "https://"+host+"/v1/notifications/certs/a/b",
			"https://"+host+"/v1/notifications/certs/..", "https://"+host+"/v1/notifications/certs/../x", "https://"+host+"/v1/notifications/certs/%2e%2e",
			"https://"+host+"/v1/notifications/certs/CERT%2D1", "https://"+host+"/v1//notifications/certs/CERT-1", "https://"+host+"/v1/notifications/certs/CERT-1/",
			"https://"+host+"/V1/notifications/certs/CERT-1", "https://"+host+"/redirect?to=https://evil.example"+path,
			"https://"+host+path+"?", "https://"+host+path+"?a=b", "https://"+host+path+"#", "https://"+host+path+"#a", "https://"+host+path+";a",
			"https://"+host+"/v1/notifications/certs/"+strings.Repeat("a", 129), "https://"+strings.Repeat("a.", 300)+host+path,
		) {
			if err := p.checkCertURL(url); failureCode(err) != CertificateNotTrusted {
				t.Errorf("%s: checkCertURL(%q) = %v, want %s", environment, url, err, CertificateNotTrusted)
			}
			r := &Request{Body: []byte("{}"), ReceivedAt: time.Now(), Header: http.Header{
				paypalID: {"1"}, paypalTime: {time.Now().UTC().Format(time.RFC3339)}, paypalSignature: {"AAAA"}, paypalCertURL: {url}, paypalAlgorithm: {"SHA256withRSA"},
			}}
			if _, err := p.Verify(t.Context(), r); failureCode(err) != CertificateNotTrusted && failureCode(err) != SignatureMissing {
				t.Errorf("%s: Verify() with the URL %q = %v, want a failure", environment, url, err)
			}
		}
		if err := p.checkCertURL("https://127.0.0.1:9/v1/notifications/certs/CERT-1"); failureCode(err) != CertificateNotTrusted {
			t.Errorf("%s: checkCertURL(the server of a test) = %v, want %s", environment, err, CertificateNotTrusted)
		}
	}
}

func TestPayPalSettings(t *testing.T) {
	server := startCertServer(t)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Settings)
		want   string
	}{
		"complete":          {func(*Settings) {}, ""},
		"live":              {func(s *Settings) { s.Environment, s.PayPalTest = Live, nil }, ""},
		"custom_id":         {func(s *Settings) { s.OrderIDKey = "custom_id" }, ""},
		"no environment":    {func(s *Settings) { s.Environment = "" }, "choose live or test"},
		"no webhook id":     {func(s *Settings) { s.WebhookID = "" }, "webhook_id is missing"},
		"simulator":         {func(s *Settings) { s.WebhookID = "WEBHOOK_ID" }, "which anyone can use"},
		"separator in id":   {func(s *Settings) { s.WebhookID = "a|b" }, "letters and digits"},
		"another key":       {func(s *Settings) { s.OrderIDKey = "order_id" }, "choose custom_id or invoice_id"},
		"test server, live": {func(s *Settings) { s.Environment = Live }, "for the environment test only"},
		"no file":           {func(s *Settings) { s.PayPalTest.CAFile = empty + "x" }, "read the roots of paypal_test"},
		"no certificate":    {func(s *Settings) { s.PayPalTest.CAFile = empty }, "has no certificate in PEM"},
	} {
		s := server.settings()
		c.change(&s)
		switch _, err := New(s); {
		case c.want == "" && err != nil:
			t.Errorf("%s: New() = %v, want no error", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: New() = %v, want an error with %q", name, err, c.want)
		}
	}
}
