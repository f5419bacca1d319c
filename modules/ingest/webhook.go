package ingest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/ingest/provider"
	"github.com/payrelay/payrelay/modules/ingest/source"
	"github.com/payrelay/payrelay/modules/payments"
)

// webhook handles one request: it finds the source, reads, verifies, decodes and applies
// the webhook, and answers it.
func (s *Server) webhook(c echo.Context) error {
	from := s.sources.Set().Find(c.Param("source"))
	path := c.Param("path")
	if below := provider.Paths(providerOf(from)); from == nil || (path != "" || below != nil) && !slices.Contains(below, path) {
		return errNotFound
	}
	if c.Request().Method != http.MethodPost {
		return errMethod
	}
	remote, _ := netip.ParseAddr(c.RealIP()) // an address that cannot be parsed is invalid, and no list allows it
	seen := Observation{Time: time.Now(), RequestID: requestID(c), Source: from.Name, Provider: from.Provider, Remote: remote}
	if s.cfg.Trace != nil {
		if ctx, span := s.cfg.Trace(c.Request(), from.Name); span.End != nil {
			c.SetRequest(c.Request().WithContext(ctx))
			seen.Traceparent = span.Traceparent
			defer func() {
				if seen.Status == 0 { // a panic
					seen.Refusal, seen.Status = errInternal.code, errInternal.status
				}
				span.End(&seen)
			}()
		}
	}
	body, err := s.take(c, from, path, &seen)
	seen.Latency = time.Since(seen.Time)
	if err != nil {
		seen.Refusal, seen.Status = refusalOf(err).code, refusalOf(err).status
		err = &refusedWebhook{err, &seen, body}
	} else if s.log.Enabled(c.Request().Context(), slog.LevelDebug) {
		s.log.LogAttrs(c.Request().Context(), slog.LevelDebug, "webhook accepted", append(seen.attrs(body),
			slog.String("request_id", seen.RequestID), slog.String("event", payments.ErrorMessage(seen.Event)), slog.Int("status", seen.Status), slog.String("verdict", seen.Verdict),
			slog.String("reason", seen.Reason), slog.Int("updates", seen.Updates), slog.Int("bytes", seen.Bytes), slog.Duration("duration", seen.Latency))...)
	}
	s.observe(c.Request().Context(), &seen)
	return err
}

func providerOf(from *source.Source) string {
	if from == nil {
		return ""
	}
	return from.Provider
}

// take is webhook for a source. It completes seen, and returns the body if it was read.
func (s *Server) take(c echo.Context, from *source.Source, path string, seen *Observation) (body []byte, err error) {
	if !from.Signed && s.cfg.InsecureNoSignature {
		c.Response().Header().Set(insecureHeader, "webhooks of this source are not verified")
	}
	if !from.Allows(seen.Remote) {
		return nil, errAddress
	}
	if err := checkHeaders(c.Request().Header); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.cfg.Timeout)
	defer cancel()
	room := reservation{budget: s.bodies}
	defer room.release()
	body, err = readBody(c.Response(), c.Request(), s.cfg.MaxBody, &room)
	if err != nil {
		return nil, err
	}
	seen.Bytes = len(body)
	r := &provider.Request{Path: path, Header: c.Request().Header, Body: body, ReceivedAt: seen.Time}
	if seen.Secret, err = from.Verify(ctx, r); err != nil {
		return body, s.refuseUnverified(from, seen, err)
	}
	seen.Verified = from.Signed
	// The limits count from here on, so that slow senders and forged webhooks take nothing
	// of them.
	if !from.TakeTurn() || s.rate != nil && !s.rate.Allow() {
		return body, errRateLimit
	}
	if !takeSlot(s.slots) {
		return body, errOverloaded
	}
	defer func() { <-s.slots }()
	if from.Slots != nil {
		if !takeSlot(from.Slots) {
			return body, errOverloaded
		}
		defer func() { <-from.Slots }()
	}
	webhook, err := s.decode(c, from, r, seen)
	if err != nil {
		return body, err
	}
	first := webhook.Updates[0]
	seen.Event, seen.EventID, seen.OrderID = webhook.Event, first.GetEventId(), first.GetOrderId()
	for _, update := range webhook.Updates {
		update.RequestId, update.Traceparent = seen.RequestID, seen.Traceparent
	}
	outcomes, err := s.apply(ctx, webhook.Updates)
	if err != nil {
		return body, err
	}
	return body, s.answer(c, from, webhook, outcomes, seen)
}

// insecureHeader tells a client that payrelay does not verify its webhooks.
const insecureHeader = "X-Payrelay-Insecure"

// refuseUnverified returns the refusal of a webhook that is not authentic, or an error
// that asks the provider to send it again if that is not known.
func (s *Server) refuseUnverified(from *source.Source, seen *Observation, err error) error {
	failure, final := errors.AsType[*provider.Failure](err)
	if !final {
		return &unverified{applyError{fmt.Errorf("verify a webhook of %s: %w", from.Name, err)}, from.Name}
	}
	if s.forgeries.add(seen.Remote, seen.Time) {
		return errTooManyFailures
	}
	return &unverified{&refusal{http.StatusUnauthorized, failure.Code, failure.Message}, from.Name}
}

// decode returns the updates of an authentic webhook, complete and valid. A body of a
// signed source that cannot be read, or that is of the other environment, becomes a dead
// letter as a whole.
func (s *Server) decode(c echo.Context, from *source.Source, r *provider.Request, seen *Observation) (provider.Webhook, error) {
	webhook, err := decode(from, r)
	if err == nil && (webhook.Environment == "" || from.Environment == "" || webhook.Environment == from.Environment) {
		for i, update := range webhook.Updates {
			if invalid := complete(update, from.Name, r.ReceivedAt); invalid != nil {
				err = errors.Join(err, invalid)
				webhook.Updates[i] = payments.NewUnreadable(from.Name, update.GetRawBody(), r.ReceivedAt)
			}
		}
		if err == nil {
			return webhook, nil
		}
	} else if err == nil {
		s.log.LogAttrs(c.Request().Context(), slog.LevelWarn, "webhook of the other environment becomes a dead letter", append(seen.attrs(r.Body),
			slog.String("request_id", seen.RequestID), slog.String("event", payments.ErrorMessage(webhook.Event)),
			slog.String("environment", string(webhook.Environment)), slog.String("expected", string(from.Environment)))...)
		webhook.Updates = []*payrelayv1.Update{payments.NewWrongEnvironment(from.Name, r.Body, r.ReceivedAt)}
		return webhook, nil
	}
	err = seen.unreadable(err, r.Body)
	if !from.Signed {
		return provider.Webhook{}, err
	}
	s.log.LogAttrs(c.Request().Context(), slog.LevelWarn, "webhook cannot be read, and becomes a dead letter", append(seen.attrs(r.Body),
		slog.String("request_id", seen.RequestID), slog.String("code", refusalOf(err).code), slog.String("path", c.Request().URL.Path), slog.Any("error", err))...)
	if len(webhook.Updates) == 0 {
		webhook.Updates = []*payrelayv1.Update{payments.NewUnreadable(from.Name, r.Body, r.ReceivedAt)}
	}
	return webhook, nil
}

// decode calls the adapter. A panic of the adapter is an error about the body.
func decode(from *source.Source, r *provider.Request) (webhook provider.Webhook, err error) {
	defer func() {
		if p := recover(); p != nil {
			webhook, err = provider.Webhook{}, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	webhook, err = from.Decode(r)
	if err == nil && len(webhook.Updates) == 0 {
		err = errors.New("the adapter returned no update")
	}
	return webhook, err
}

// complete sets what all updates of a source have, and validates the update.
func complete(u *payrelayv1.Update, source string, receivedAt time.Time) error {
	digest := sha256.Sum256(u.GetRawBody())
	u.Provider = source
	u.SchemaVersion = payments.SchemaVersion
	u.ReceivedAt = timestamppb.New(receivedAt.Truncate(time.Microsecond))
	u.BodySha256 = digest[:]
	return payments.Validate(u)
}

// takeSlot reports whether a slot was free.
func takeSlot(slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// checkHeaders refuses every body that is not declared as JSON in UTF-8, or in
// ASCII, which is a part of it, without an encoding. Without a Content-Type, the body
// is taken as such.
func checkHeaders(header http.Header) error {
	for _, encoding := range header.Values(echo.HeaderContentEncoding) {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return errEncoding
		}
	}
	switch types := header.Values(echo.HeaderContentType); {
	case len(types) == 0 || len(types) == 1 && types[0] == echo.MIMEApplicationJSON:
		return nil
	case len(types) > 1:
		return errMediaType
	}
	mediaType, params, err := mime.ParseMediaType(header.Get(echo.HeaderContentType))
	if err != nil || mediaType != echo.MIMEApplicationJSON {
		return errMediaType
	}
	if charset, ok := params["charset"]; ok {
		switch strings.ToLower(charset) {
		case "utf-8", "utf8", "us-ascii":
		default:
			return errMediaType
		}
	}
	return nil
}

// apply calls the Applier once, with all updates of the webhook. The Applier retries as
// long as the deadline allows; after that, the provider sends the webhook again.
func (s *Server) apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	outcomes, err := s.next.Apply(ctx, updates)
	if err == nil {
		unspecified := func(o *payrelayv1.Outcome) bool { return o.GetVerdict() == payrelayv1.Verdict_VERDICT_UNSPECIFIED }
		if len(outcomes) == len(updates) && !slices.ContainsFunc(outcomes, unspecified) {
			return outcomes, nil
		}
		err = fmt.Errorf("%d outcomes for %d updates, or one without a verdict", len(outcomes), len(updates))
	}
	return nil, applyError{fmt.Errorf("apply event %q of %s: %w", updates[0].GetEventId(), updates[0].GetProvider(), err)}
}
