package provider

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
	"github.com/payrelay/payrelay/modules/payments"
)

// The paths of a generic source.
const (
	ordersPath   = "orders"
	disputesPath = "chargebacks"
)

// decode returns the update of a generic webhook, as the caller of the adapter completes
// it, and the paths of members that have no effect.
func decode(path, body string) (*payrelayv1.Update, []string, error) {
	adapter, err := New(Settings{Source: "generic", Provider: Generic})
	if err != nil {
		return nil, nil, err
	}
	return decodeOne(adapter, &Request{Path: path, Body: []byte(body), ReceivedAt: time.Now()})
}

// decodeOne decodes a webhook that reports one event, and validates the update.
func decodeOne(adapter Adapter, r *Request) (*payrelayv1.Update, []string, error) {
	w, err := adapter.Decode(r)
	if err != nil {
		return nil, nil, err
	}
	if len(w.Updates) != 1 {
		return nil, nil, errors.New("the webhook has not one update")
	}
	u := w.Updates[0]
	digest := sha256.Sum256(u.GetRawBody())
	u.Provider, u.SchemaVersion, u.BodySha256 = "generic", payments.SchemaVersion, digest[:]
	u.ReceivedAt = timestamppb.New(r.ReceivedAt.Truncate(time.Microsecond))
	return u, w.Ignored, payments.Validate(u)
}

// accepted returns the update of a generic webhook that must be accepted, without the
// fields that the caller of the adapter sets. It checks that the body is kept.
func accepted(t testing.TB, path, body string) *payrelayv1.Update {
	t.Helper()
	u, _, err := decode(path, body)
	if err != nil {
		t.Fatalf("decode(%.200s) failed: %v", body, err)
	}
	return bare(t, u, body)
}

// bare returns a copy of an update without the body and what the caller of the adapter
// sets.
func bare(t testing.TB, u *payrelayv1.Update, body string) *payrelayv1.Update {
	t.Helper()
	if !bytes.Equal(u.GetRawBody(), []byte(body)) {
		t.Errorf("RawBody = %q, want the body", u.GetRawBody())
	}
	u = proto.CloneOf(u)
	u.SchemaVersion, u.Provider, u.RawBody, u.BodySha256, u.ReceivedAt = 0, "", nil, nil, nil
	return u
}

// refused checks that a generic webhook is refused with a code, and returns the message.
func refused(t testing.TB, path, body, code string) string {
	t.Helper()
	_, _, err := decode(path, body)
	got, message := reason(err)
	if got != code || message == "" || len(message) > 256 {
		t.Fatalf("decode(%.200s) = %v, want %s and a message of at most 256 bytes", body, err, code)
	}
	return message
}

// reason returns the code and the message of a body that cannot be read.
func reason(err error) (code, message string) {
	if malformed, ok := errors.AsType[*jsonbody.Malformed](err); ok {
		return malformed.Code, malformed.Message
	}
	if invalid, ok := errors.AsType[*payments.InvalidError](err); ok {
		return invalid.Code(), invalid.Error()
	}
	return "", ""
}

// wantFailure checks that a webhook is not authentic, and why.
func wantFailure(t testing.TB, a Adapter, r *Request, code string) *Failure {
	t.Helper()
	_, err := a.Verify(t.Context(), r)
	f, ok := errors.AsType[*Failure](err)
	if !ok || f.Code != code || f.Message == "" {
		t.Errorf("Verify(%v) = %v, want %s with a message", r.Header, err, code)
		return &Failure{}
	}
	return f
}

// isFailure reports whether an error is a failure with one of some codes.
func isFailure(err error, codes ...string) bool {
	f, ok := errors.AsType[*Failure](err)
	return ok && slices.Contains(codes, f.Code)
}

// wantAuthentic checks that a secret signed a webhook.
func wantAuthentic(t testing.TB, a Adapter, r *Request, secret int) {
	t.Helper()
	if got, err := a.Verify(t.Context(), r); err != nil || got != secret {
		t.Errorf("Verify(%v) = %d, %v, want %d", r.Header, got, err, secret)
	}
}

// changes returns every text that differs from a text in one byte, which stays one that
// a header can hold.
func changes(text string) []string {
	var changed []string
	for i := range len(text) {
		b := []byte(text)
		b[i] ^= 1
		changed = append(changed, string(b))
	}
	return changed
}
