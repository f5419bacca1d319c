package door

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Reasons of refusals, as answers, logs and metrics name them.
const (
	hostNotAllowed     = "host_not_allowed"
	crossOrigin        = "cross_origin"
	unauthenticated    = "unauthenticated"
	roleRequired       = "role_required"
	tooManyConnections = "too_many_connections"
	tlsHandshake       = "tls_handshake"
)

var reasons = []string{hostNotAllowed, crossOrigin, unauthenticated, roleRequired, tooManyConnections, tlsHandshake}

// Wrap returns a handler that calls next for the requests that the policy allows. The
// RemoteAddr of those that came through trusted proxies is that of the client.
func (d *Door) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = d.fromClient(r)
		if len(r.TransferEncoding) > 0 {
			// Such a request may have had a Content-Length too, which net/http removes. A
			// proxy in front that counted by it takes the rest for another request.
			w.Header().Set("Connection", "close")
		}
		t, refused := d.judge(r)
		if refused != nil {
			d.refuse(w, r, refused)
			return
		}
		if t.name != "" {
			r = r.WithContext(context.WithValue(r.Context(), tokenNameKey{}, t.name))
		}
		next.ServeHTTP(w, r)
	})
}

// fromClient returns the request with the address of the client in place of that of a
// trusted proxy.
func (d *Door) fromClient(r *http.Request) *http.Request {
	forwarded := r.Header["X-Forwarded-For"]
	if len(forwarded) == 0 || len(d.options.Proxies) == 0 {
		return r
	}
	peer, ok := parseAddr(r.RemoteAddr)
	if !ok {
		return r
	}
	client := d.options.Proxies.client(peer, forwarded)
	if client == peer {
		return r
	}
	copied := *r
	copied.RemoteAddr = net.JoinHostPort(client.String(), "0")
	return &copied
}

type refusal struct {
	status        int
	code, message string
}

// judge returns the token of a request, and why it is refused, or nil. The messages do not
// repeat what the request has.
func (d *Door) judge(r *http.Request) (token, *refusal) {
	if !d.allowsHost(r.Host, localAddr(r)) {
		return token{}, &refusal{http.StatusMisdirectedRequest, hostNotAllowed,
			"this listener does not have the name in the Host header: call it by its address, or allow the name with --" + d.cfg.flag("hosts")}
	}
	if isCrossSite(r) {
		return token{}, &refusal{http.StatusForbidden, crossOrigin,
			"a browser sent this request for a page of another origin: call from a program, without the headers Origin and Sec-Fetch-Site"}
	}
	if d.tokens == nil {
		return token{}, nil
	}
	needed := Reader
	if d.options.Needs != nil {
		needed = d.options.Needs(r)
	}
	switch t := bearer(r, *d.tokens.current.Load()); {
	case needed <= t.role:
		return t, nil
	case t.role == Anyone:
		return t, &refusal{http.StatusUnauthorized, unauthenticated,
			"the token is missing or wrong: send the header Authorization with Bearer and a token of --" + d.cfg.flag("tokens-file")}
	default:
		return t, &refusal{http.StatusForbidden, roleRequired,
			"the token has the role " + t.role.String() + ", and this path needs " + needed.String() + ": use a token with that role"}
	}
}

func (d *Door) refuse(w http.ResponseWriter, r *http.Request, refused *refusal) {
	d.counts.add(refused.code, r.RemoteAddr)
	id := rand.Text()
	header := w.Header()
	header.Set("X-Request-Id", id)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	if refused.status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", "Bearer")
	}
	if d.options.Refuse != nil && d.options.Refuse(w, r, refused.code, refused.message) {
		return
	}
	header.Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(refused.status)
	// A failed write means that the client has disconnected.
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{
		"code": refused.code, "message": refused.message, "request_id": id,
	}})
}

// quietFor is how long refusals for one reason are only counted after one was logged.
const quietFor = 10 * time.Second

// refusals counts what a listener refuses, and logs it once in a burst.
type refusals struct {
	log *slog.Logger

	mu    sync.Mutex
	since map[string]*burst
}

type burst struct {
	total    uint64
	logged   time.Time
	unlogged int
}

// add counts a refusal. More has further attributes for the log.
func (c *refusals) add(reason, remote string, more ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since == nil {
		c.since = map[string]*burst{}
	}
	b := c.since[reason]
	if b == nil {
		b = new(burst)
		c.since[reason] = b
	}
	b.total++
	if time.Since(b.logged) < quietFor {
		b.unlogged++
		return
	}
	c.log.Warn("refused", append([]any{"reason", reason, "remote", remote, "not_logged_before", b.unlogged}, more...)...)
	b.logged, b.unlogged = time.Now(), 0
}

// Unauthenticated counts a request whose token another module found to be wrong, and logs
// it once in a burst.
func (d *Door) Unauthenticated(r *http.Request) { d.counts.add(unauthenticated, r.RemoteAddr) }

// Refused calls show for each reason with the number of requests and connections that
// the listener has refused.
func (d *Door) Refused(show func(reason string, count uint64)) {
	d.counts.mu.Lock()
	defer d.counts.mu.Unlock()
	for _, reason := range reasons {
		var count uint64
		if b := d.counts.since[reason]; b != nil {
			count = b.total
		}
		show(reason, count)
	}
}
