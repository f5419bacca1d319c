package provider

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
)

// guess is a key that may have made a signature.
type guess struct {
	key []byte
	// message completes "the signature is right with … ", and is empty for a key of the
	// source in its right form.
	message string
}

// ownKeys returns the keys of the source in their right form.
func (e *explanation) ownKeys() []guess {
	var keys []guess
	for _, secret := range e.settings.Secrets {
		if key := e.scheme.key(secret); key != nil {
			keys = append(keys, guess{key: key})
		}
	}
	return keys
}

// otherKeys returns the keys of the source in wrong forms, and those of other sources.
func (e *explanation) otherKeys() []guess {
	var keys []guess
	for i, secret := range e.settings.Secrets {
		own := e.scheme.key(secret)
		for _, g := range forms(secret.Value, fmt.Sprintf("secret %d of the source", i+1)) {
			if !slices.Equal(g.key, own) {
				keys = append(keys, g)
			}
		}
	}
	for _, other := range e.others {
		if other.Source == e.settings.Source {
			continue
		}
		for i, secret := range other.Secrets {
			name := fmt.Sprintf("secret %d of the source %s%s", i+1, other.Source, environmentOf(other))
			if key := e.scheme.key(secret); key != nil {
				keys = append(keys, guess{key, name})
			}
			keys = append(keys, forms(secret.Value, name)...)
		}
	}
	return append(keys, guess{nil, "an empty secret"})
}

// keyPrefixes precede secrets at several providers.
var keyPrefixes = []string{"whsec_", "whpk_", "wh_sk_", "wh_pk_"}

// forms returns the keys that a sender may have made of the text of a secret.
func forms(text, name string) []guess {
	bare := text
	for _, prefix := range keyPrefixes {
		bare = strings.TrimPrefix(bare, prefix)
	}
	guesses := []guess{
		{[]byte(text), name + " as a text: nothing in it is decoded"},
		{[]byte(bare), name + " without its prefix, as a text"},
		{[]byte("whsec_" + bare), name + " as a text, with whsec_ in front"},
		{[]byte(text + "\n"), name + " with a line break at its end"},
		{[]byte(strings.Trim(text, "\"' \t\r\n")), name + " without the quotation marks or spaces around it"},
		{[]byte(strings.ToLower(text)), name + " in lower case"},
		{[]byte(strings.ToUpper(text)), name + " in upper case"},
	}
	unpadded := strings.TrimRight(bare, "=")
	if key, err := base64.RawStdEncoding.DecodeString(unpadded); err == nil {
		guesses = append(guesses, guess{key, name + ", decoded from base64"})
	}
	if key, err := base64.RawURLEncoding.DecodeString(unpadded); err == nil {
		guesses = append(guesses, guess{key, name + ", decoded from base64 for URLs"})
	}
	if key, err := hex.DecodeString(bare); err == nil {
		guesses = append(guesses, guess{key, name + ", decoded from hexadecimal digits"})
	}
	return slices.DeleteFunc(guesses, func(g guess) bool { return len(g.key) == 0 })
}

// maxHashed bounds the bytes that are hashed to try keys, mistakes and changes.
const maxHashed = 256 << 20

// spend reports whether a body may be hashed once more.
func (e *explanation) spend(body []byte) bool {
	e.hashed += len(body)
	return e.hashed <= maxHashed && e.ctx.Err() == nil
}

// content reports whether a change of the body, another key, a known mistake of the
// sender, or a key and a change together make the webhook authentic.
func (e *explanation) content() bool {
	if e.changedBody() {
		return true
	}
	if e.scheme == nil {
		return false
	}
	others := e.otherKeys()
	for _, g := range others {
		if e.scheme.signedWith(g.key, e.request) {
			e.add(Cause, "secret", "the signature is right with %s", g.message)
			return true
		}
	}
	// A key that made the signature shows that something else is wrong.
	keys := slices.DeleteFunc(slices.Concat(e.ownKeys(), others), func(g guess) bool { return e.scheme.signedWith(g.key, e.request) })
	for _, m := range e.scheme.mistakes(e.request) {
		guesses := keys
		if m.keyless {
			guesses = []guess{{}}
		}
		for _, g := range guesses {
			if e.spend(e.request.Body) && m.signedWith(g.key, e.request) {
				e.add(Cause, "signature", "%s", with("the signature is right "+m.message, g))
				return true
			}
		}
	}
	return e.changedTwice(keys)
}

func with(message string, g guess) string {
	if g.message == "" {
		return message
	}
	return message + ", with " + g.message
}

// changedBody reports whether the webhook is authentic with another form of its body.
func (e *explanation) changedBody() bool {
	r := e.request.copy()
	for change := range jsonbody.Changes(e.request.Body) {
		if r.Body = change.Body; !e.spend(r.Body) {
			return false
		}
		if e.verifies(r) {
			e.add(Cause, "body", "the signature is right for the body %s: a program between the provider and payrelay changes the body; let it pass the bytes on unchanged", change.Message)
			return true
		}
	}
	return false
}

// changedTwice reports whether a key made the signature of another form of the body.
func (e *explanation) changedTwice(keys []guess) bool {
	r := e.request.copy()
	for change := range jsonbody.Changes(e.request.Body) {
		r.Body = change.Body
		for _, g := range keys {
			if !e.spend(r.Body) {
				return false
			}
			if e.scheme.signedWith(g.key, r) {
				e.add(Cause, "body", "%s", with("the signature is right for the body "+change.Message, g))
				return true
			}
		}
	}
	return false
}

// renamedHeaders reports whether the webhook is authentic if headers have the names that
// the provider gave them. Without such headers, it adds which ones are missing.
func (e *explanation) renamedHeaders() bool {
	if e.scheme == nil {
		return false
	}
	restored := e.request.copy()
	var renamed, missing, present []string
	for _, name := range e.scheme.headers() {
		if len(e.request.Header.Values(name)) > 0 {
			present = append(present, name)
			continue
		}
		if arrived := similarHeader(e.request.Header, name); arrived != "" {
			restored.Header[http.CanonicalHeaderKey(name)] = e.request.Header[arrived]
			renamed = append(renamed, name+" arrives as "+arrived)
		} else {
			missing = append(missing, name)
		}
	}
	switch {
	case len(renamed) > 0 && e.verifies(restored):
		e.add(Cause, "headers", "the webhook is authentic, but a proxy renames headers: %s", strings.Join(renamed, ", "))
		return true
	case len(renamed) > 0:
		e.add(Hint, "headers", "a proxy may rename headers: %s", strings.Join(renamed, ", "))
	case len(missing) > 0 && len(present) > 0 && !e.aliases(present):
		e.add(Hint, "headers", "of the provider's headers, only %s arrived: check that no proxy removes %s", strings.Join(present, ", "), strings.Join(missing, ", "))
	}
	return false
}

// aliases reports whether headers are complete under one of two names.
func (e *explanation) aliases(present []string) bool {
	return 2*len(present) == len(e.scheme.headers())
}

// similarHeader returns the name of a header that may have been name before a proxy
// changed it, such as X-Original-Stripe-Signature or stripe_signature, or nothing.
func similarHeader(header http.Header, name string) string {
	plain := func(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "-") }
	var similar []string
	for candidate := range header {
		if strings.HasSuffix("-"+plain(candidate), "-"+plain(name)) && !strings.EqualFold(candidate, name) {
			similar = append(similar, candidate)
		}
	}
	if len(similar) == 0 {
		return ""
	}
	return slices.Min(similar)
}

// valueChanges are changes of a header's value that a proxy may have made, undone.
var valueChanges = []struct {
	message string
	undo    func(string) string
}{
	{"is in quotation marks", func(v string) string { return strings.Trim(v, `"'`) }},
	{"has spaces around it", strings.TrimSpace},
	{"is escaped as in a URL", func(v string) string {
		if text, err := url.PathUnescape(v); err == nil {
			return text
		}
		return v
	}},
	{"has a space in place of each +", func(v string) string { return strings.ReplaceAll(v, " ", "+") }},
	{"is joined with another one by a comma", func(v string) string { first, _, _ := strings.Cut(v, ", "); return first }},
}

// changedValues reports whether the webhook is authentic if one header has another value.
func (e *explanation) changedValues() bool {
	if e.scheme == nil {
		return false
	}
	tried := func(name, value string) bool {
		r := e.request.copy()
		r.Header.Set(name, value)
		return e.verifies(r)
	}
	for _, name := range e.scheme.headers() {
		values := e.request.Header.Values(name)
		if len(values) > 1 {
			for i, value := range values {
				if tried(name, value) {
					e.add(Cause, "headers", "the header %s is there %d times, and number %d is right: a proxy adds it, or the webhook was forwarded twice", name, len(values), i+1)
					return true
				}
			}
		}
		for _, value := range values {
			for _, change := range valueChanges {
				if undone := change.undo(value); undone != value && tried(name, undone) {
					e.add(Cause, "headers", "the header %s %s: pass its value on unchanged", name, change.message)
					return true
				}
			}
		}
	}
	return false
}

// signatureHeaders has the headers that only one provider sends.
var signatureHeaders = map[string]string{
	"Stripe-Signature": Stripe, "Webhook-Signature": StandardWebhooks, "Svix-Signature": StandardWebhooks,
	paypalSignature: PayPal, "Solidgate-Event-Id": Solidgate,
}

// hints adds facts that may explain a failure.
func (e *explanation) hints() {
	for _, header := range slices.Sorted(maps.Keys(signatureHeaders)) {
		own := e.scheme != nil && slices.Contains(e.scheme.headers(), header)
		if len(e.request.Header.Values(header)) > 0 && !own && signatureHeaders[header] != e.settings.Provider {
			e.add(Hint, "provider", "the webhook has the header %s of the provider %s, and the provider of the source is %s", header, signatureHeaders[header], e.settings.Provider)
		}
	}
	if webhook, err := e.decode(); err == nil && webhook.Environment != "" && e.settings.Environment != "" && webhook.Environment != e.settings.Environment {
		e.add(Hint, "environment", "the body is of the environment %s, and the source of %s: each has a secret and a path of its own", webhook.Environment, e.settings.Environment)
	}
	if found := slices.ContainsFunc(e.findings, func(f Finding) bool { return f.Result == Cause }); !found {
		if jsonbody.HasSortedKeys(e.request.Body) {
			e.add(Hint, "body", "the keys of the body are in alphabetical order: if a program sorted them, their order at the provider is lost")
		}
		e.add(Hint, "cause", "no change of the webhook that is known makes it authentic: compare the secrets with those in the provider's dashboard, and store the body as it arrives, before a program reads it")
	}
}
