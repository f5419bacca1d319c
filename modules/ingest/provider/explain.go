package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

// Finding is what [Explain] found out about a webhook. It contains no secret.
type Finding struct {
	Result Result
	// Check is what was checked: "signature", the code of a [Failure], or another word.
	Check   string
	Message string
}

// Result is what a finding means.
type Result string

// The results.
const (
	Passed Result = "ok"
	// Failed means that the webhook is not authentic.
	Failed Result = "failed"
	// Warning means that an authentic webhook has no effect.
	Warning Result = "warning"
	// Cause is a change that makes the webhook authentic.
	Cause Result = "cause"
	// Hint is a fact that may explain a failure.
	Hint Result = "hint"
)

// explainer is what an adapter offers so that Explain can find the cause of a failure. The
// methods do not modify the request. Without them, Explain tries only what every provider
// has.
type explainer interface {
	// headers returns the names of the headers that Verify reads.
	headers() []string
	// signedAt returns the time that the signature covers, if it covers one.
	signedAt(r *Request) (at time.Time, ok bool)
	// key returns the key that the scheme makes of a secret, or nil if it is not symmetric.
	key(s Secret) []byte
	// signedWith reports whether a key made the signature, at any time.
	signedWith(key []byte, r *Request) bool
	// mistakes returns ways to sign that are wrong at this provider.
	mistakes(r *Request) []mistake
}

// mistake is a wrong way to sign.
type mistake struct {
	// message completes "the signature is right … ".
	message string
	// signedWith reports whether a key made the signature in this way, at any time.
	signedWith func(key []byte, r *Request) bool
	// keyless means that signedWith does not use the key.
	keyless bool
}

// Explain returns which checks of a webhook pass and which one fails, and looks for the
// cause of a failure. The webhook is authentic if no finding is [Failed]. Others are the
// settings of other sources, whose secrets may have made the signature.
func Explain(ctx context.Context, s Settings, r *Request, others ...Settings) []Finding {
	adapter, err := New(s)
	if err != nil {
		return []Finding{{Failed, "configuration", err.Error()}}
	}
	e := explanation{ctx: ctx, settings: s, adapter: adapter, scheme: schemeOf(adapter), request: r, others: others}
	secret, err := adapter.Verify(ctx, r.copy())
	failure, final := errors.AsType[*Failure](err)
	switch {
	case err == nil:
		e.authentic(secret)
	case !final:
		e.add(Failed, "verification", "the check could not be made: %v", err)
	default:
		e.add(Failed, failure.Code, "%s", failure.Message)
		e.explain(failure)
	}
	return e.findings
}

// schemeOf returns what an adapter offers to Explain, or nil.
func schemeOf(a Adapter) explainer {
	if g, ok := a.(generic); ok {
		scheme, _ := g.verifier.(explainer)
		return scheme
	}
	scheme, _ := a.(explainer)
	return scheme
}

// copy returns a request that can be verified and decoded.
func (r *Request) copy() *Request {
	return &Request{Path: r.Path, Header: r.Header.Clone(), Body: r.Body, ReceivedAt: r.ReceivedAt}
}

// explanation collects findings.
type explanation struct {
	ctx      context.Context
	settings Settings
	adapter  Adapter
	scheme   explainer // or nil
	request  *Request
	others   []Settings
	findings []Finding
	hashed   int // bytes
}

func (e *explanation) add(result Result, check, format string, args ...any) {
	e.findings = append(e.findings, Finding{result, check, fmt.Sprintf(format, args...)})
}

// authentic adds what happens to an authentic webhook.
func (e *explanation) authentic(secret int) {
	switch g, ok := e.adapter.(generic); {
	case ok && g.verifier == verifier(unsigned{}):
		e.add(Warning, "signature", "the source has no secret, so that every webhook is accepted: add secrets")
	case len(e.settings.Secrets) > 0:
		e.add(Passed, "signature", "secret %d of the source made the signature", secret+1)
	default:
		e.add(Passed, "signature", "the provider made the signature")
	}
	if at, ok := e.signedAt(e.request); ok {
		e.add(Passed, "time", "the webhook was signed %s the receipt", apart(at, e.request.ReceivedAt))
	}
	webhook, err := e.decode()
	switch stated := webhook.Environment; {
	case err != nil:
		e.add(Warning, "body", "the webhook is authentic, but cannot be read, and becomes a dead letter: %v", err)
	case stated != "" && e.settings.Environment != "" && stated != e.settings.Environment:
		e.add(Warning, "environment", "the webhook is authentic, but it is of the environment %s, and the source of %s: it becomes a dead letter", stated, e.settings.Environment)
	default:
		e.add(Passed, "body", "%s", describe(webhook))
	}
}

// describe returns what a webhook reports.
func describe(w Webhook) string {
	var parts []string
	for _, u := range w.Updates {
		kind := "something that cannot be read"
		switch {
		case u.GetOrder() != nil:
			kind = "an order"
		case u.GetDispute() != nil:
			kind = "a dispute"
		case u.GetNote() != nil:
			kind = "a note"
		}
		parts = append(parts, fmt.Sprintf("%s, event %s, order %s", kind, u.GetEventId(), u.GetOrderId()))
	}
	return payments.ErrorMessage("it reports " + strings.Join(parts, "; "))
}

// decode decodes the body, which may not be authentic.
func (e *explanation) decode() (w Webhook, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return e.adapter.Decode(e.request.copy())
}

// apart returns how long before or after the receipt a time is.
func apart(at, received time.Time) string {
	if d := received.Sub(at).Round(time.Second); d >= 0 {
		return d.String() + " before"
	} else {
		return (-d).String() + " after"
	}
}

func (e *explanation) signedAt(r *Request) (time.Time, bool) {
	if e.scheme == nil {
		return time.Time{}, false
	}
	return e.scheme.signedAt(r)
}

// verifies reports whether a changed request is authentic, at the time of its signature.
func (e *explanation) verifies(r *Request) bool {
	r = r.copy()
	if at, ok := e.signedAt(r); ok {
		r.ReceivedAt = at
	}
	_, err := e.adapter.Verify(e.ctx, r)
	return err == nil
}

// explain looks for the cause of a failure, from the most likely on. It ends with the
// first that it finds.
func (e *explanation) explain(failure *Failure) {
	defer e.hints()
	if failure.Code == SecretExpired {
		return // the failure has the cause
	}
	_ = e.time() || e.otherSource() || e.renamedHeaders() || e.changedValues() || e.login(failure) || e.content()
}

// time reports whether nothing but the time is wrong.
func (e *explanation) time() bool {
	at, ok := e.signedAt(e.request)
	if !ok || !e.verifies(e.request) {
		return false
	}
	direction := "the clock of this machine is behind, or that of the sender ahead"
	if at.Before(e.request.ReceivedAt) {
		direction = "the webhook is an old one, it waited on the way, or the clock of this machine is ahead"
	}
	e.add(Cause, "time", "the signature is right, and was made %s the receipt at %s, with a tolerance of %s: %s",
		apart(at, e.request.ReceivedAt), e.request.ReceivedAt.UTC().Format(time.RFC3339), tolerance(e.settings), direction)
	return true
}

func tolerance(s Settings) time.Duration {
	if s.Tolerance == 0 {
		return DefaultTolerance
	}
	return s.Tolerance
}

// otherSource reports whether the webhook is authentic for another source.
func (e *explanation) otherSource() bool {
	for _, other := range e.others {
		if len(other.Secrets) == 0 && Uses(other.Provider, "secrets") {
			continue // it would accept everything
		}
		adapter, err := New(other)
		if err != nil || other.Source == e.settings.Source {
			continue
		}
		there := explanation{ctx: e.ctx, adapter: adapter, scheme: schemeOf(adapter)}
		if there.verifies(e.request) {
			remedy := ", or give this source the secret of that one"
			if other.Environment != e.settings.Environment {
				remedy = ""
			}
			e.add(Cause, "source", "the webhook is authentic for the source %s (provider %s%s): let the provider send it to the path of that source%s",
				other.Source, other.Provider, environmentOf(other), remedy)
			return true
		}
	}
	return false
}

func environmentOf(s Settings) string {
	if s.Environment == "" {
		return ""
	}
	return ", environment " + string(s.Environment)
}

// login reports whether nothing but the login is wrong, or it is that of another source.
func (e *explanation) login(failure *Failure) bool {
	if failure.Code != CredentialsInvalid || e.scheme == nil {
		return false
	}
	request := http.Request{Header: e.request.Header}
	username, password, _ := request.BasicAuth()
	for _, other := range e.others {
		if other.BasicAuth != nil && *other.BasicAuth == (BasicAuth{username, password}) {
			e.add(Cause, "source", "the login is that of the source %s%s", other.Source, environmentOf(other))
			return true
		}
	}
	if own := e.settings.BasicAuth; own != nil && (strings.TrimSpace(username) == own.Username && strings.TrimSpace(password) == own.Password) {
		e.add(Cause, "login", "the login is right but for spaces around it: remove them where it is set")
		return true
	}
	for i, secret := range e.settings.Secrets {
		if e.scheme.signedWith(e.scheme.key(secret), e.request) {
			e.add(Cause, "login", "secret %d of the source made the signature, so that nothing but the login is wrong", i+1)
			return true
		}
	}
	return false
}
