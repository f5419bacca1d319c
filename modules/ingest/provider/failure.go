package provider

import (
	"fmt"
	"strings"
	"time"
)

// Failure is the reason why a webhook is not authentic. It contains neither a secret nor
// the body.
type Failure struct {
	// Code is stable and in snake_case, such as "signature_invalid".
	Code string
	// Message is a sentence that names the check that failed and how to fix the cause.
	Message string
}

func (f *Failure) Error() string { return f.Code + ": " + f.Message }

// The codes of failures.
const (
	SignatureMissing      = "signature_missing"
	SignatureMalformed    = "signature_malformed"
	SignatureInvalid      = "signature_invalid"
	TimestampOutOfBounds  = "timestamp_out_of_tolerance"
	SecretExpired         = "secret_expired"
	CredentialsInvalid    = "credentials_invalid"
	CertificateNotTrusted = "certificate_not_trusted"
)

func missing(header string) error {
	return &Failure{SignatureMissing, "the webhook has no header " + header + ": check that the provider signs, and that no proxy removes the header"}
}

func malformed(header, form string) error {
	return &Failure{SignatureMalformed, "the header " + header + " does not have the form " + form}
}

var errSignature = &Failure{SignatureInvalid, "no secret of the source made this signature: check that the secret is the one of this endpoint, and that no proxy changes the body"}

// checkTime returns a failure unless a signed time is within the tolerance of the receipt.
func checkTime(signed, received time.Time, tolerance time.Duration) error {
	if apart := received.Sub(signed).Abs(); apart > tolerance {
		return &Failure{TimestampOutOfBounds, fmt.Sprintf("the webhook was signed at %s and received at %s, which is more than %s apart: check the clock of this machine",
			signed.UTC().Format(time.RFC3339), received.UTC().Format(time.RFC3339), tolerance)}
	}
	return nil
}

// keyring holds the secrets of a source in the form that its scheme needs.
type keyring[K any] []key[K]

type key[K any] struct {
	value    K
	notAfter time.Time
}

// newKeyring parses the secrets of a source. The error names the secret by its position.
func newKeyring[K any](secrets []Secret, parse func(Secret) (K, error)) (keyring[K], error) {
	var keys keyring[K]
	for i, secret := range secrets {
		value, err := parse(secret)
		if err != nil {
			return nil, fmt.Errorf("secret %d %w", i+1, err)
		}
		keys = append(keys, key[K]{value, secret.NotAfter})
	}
	return keys, nil
}

// verify returns the index of the first secret for which matches returns true. A match of
// an expired secret is a failure of its own.
func (k keyring[K]) verify(now time.Time, matches func(K) bool) (int, error) {
	expired := -1
	for i, key := range k {
		if !matches(key.value) {
			continue
		}
		if key.notAfter.IsZero() || !now.After(key.notAfter) {
			return i, nil
		}
		expired = i
	}
	if expired >= 0 {
		return 0, &Failure{SecretExpired, fmt.Sprintf("secret %d of the source made this signature, and expired at %s: let the provider sign with the new secret, or extend not_after",
			expired+1, k[expired].notAfter.UTC().Format(time.RFC3339))}
	}
	return 0, errSignature
}

// onlyHeader returns the value of a header that must be there exactly once.
func onlyHeader(r *Request, name string) (string, error) {
	switch values := r.Header.Values(name); {
	case len(values) == 0 || len(values) == 1 && strings.TrimSpace(values[0]) == "":
		return "", missing(name)
	case len(values) > 1:
		return "", malformed(name, "of one value: it is there twice")
	default:
		return values[0], nil
	}
}
