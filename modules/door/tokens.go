package door

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// Role is what the bearer of a token may do. Each role may do what those before it may.
type Role int

const (
	// Anyone needs no token.
	Anyone Role = iota
	// Reader may read data and metrics.
	Reader
	// Operator may also take profiles, which show memory and slow the process.
	Operator
)

// roles has the names of the roles that a token can have.
var roles = map[string]Role{"reader": Reader, "operator": Operator}

// ParseRole returns the role of that name.
func ParseRole(name string) (Role, error) {
	role, ok := roles[name]
	if !ok {
		return 0, fmt.Errorf("the role is %q: choose reader or operator", name)
	}
	return role, nil
}

// String returns the name of the role.
func (r Role) String() string {
	for name, role := range roles {
		if role == r {
			return name
		}
	}
	return "anyone"
}

// token is a line of a file of tokens. The file has digests, so that nothing in it can
// be shown in place of a token.
type token struct {
	name   string
	role   Role
	digest [sha256.Size]byte
}

// tokenName matches the names of tokens.
var tokenName = regexp.MustCompile(`^[A-Za-z0-9_.@-]{1,64}$`)

// NewToken returns a fresh token and its line for a file of tokens.
func NewToken(name string, role Role) (secret, line string, err error) {
	if !tokenName.MatchString(name) {
		return "", "", fmt.Errorf("the name is %q: choose 1 to 64 letters, digits and the characters _ . @ -", name)
	}
	secret = "prt_" + rand.Text()
	digest := sha256.Sum256([]byte(secret))
	return secret, fmt.Sprintf("%s %s %x", name, role, digest), nil
}

// errNoTokens keeps an empty file from locking everyone out unnoticed.
var errNoTokens = errors.New("it has no tokens: add a line that app tokens new prints")

// parseTokens reads a file with one token in each line: its name, its role and the
// SHA-256 of the token in hexadecimal, with space between. Lines that are empty or begin
// with # are skipped.
func parseTokens(content []byte) ([]token, error) {
	var tokens []token
	seen := map[[sha256.Size]byte]bool{}
	number := 0
	for line := range bytes.Lines(content) {
		number++
		fields := strings.Fields(string(line))
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		t, err := parseToken(fields)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if seen[t.digest] {
			return nil, fmt.Errorf("line %d: the token is in another line too: make one token for each line", number)
		}
		seen[t.digest] = true
		tokens = append(tokens, t)
	}
	if tokens == nil {
		return nil, errNoTokens
	}
	return tokens, nil
}

// parseToken reads a line. The errors do not quote it: a line that is wrong may have the
// token itself.
func parseToken(fields []string) (t token, err error) {
	if len(fields) != 3 {
		return t, fmt.Errorf("it has %d fields: write a name, a role and a SHA-256, as app tokens new prints them", len(fields))
	}
	if t.name = fields[0]; !tokenName.MatchString(t.name) {
		return t, errors.New("the name of the token has an unusual character or more than 64: choose letters, digits and _ . @ -")
	}
	role, known := roles[fields[1]]
	if !known {
		return t, errors.New("the role is neither reader nor operator: choose one of them")
	}
	digest, err := hex.DecodeString(fields[2])
	if err != nil || len(digest) != sha256.Size {
		return t, errors.New("the third field is not the SHA-256 of a token in hexadecimal: write the one that app tokens new prints")
	}
	t.role, t.digest = role, [sha256.Size]byte(digest)
	return t, nil
}

// newTokens returns the file of tokens of a listener, or nil if it has none.
func newTokens(cfg Config) *files[[]token] {
	if cfg.TokensFile == "" {
		return nil
	}
	from := file{cfg.setting("tokens-file"), cfg.TokensFile}
	return &files[[]token]{what: "file of tokens", files: []file{from}, parse: func(contents [][]byte) ([]token, error) {
		tokens, err := parseTokens(contents[0])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from.setting, err)
		}
		return tokens, nil
	}}
}

// bearer returns the token of a request, or one with the role Anyone if it has no valid
// one. It compares digests in constant time and all of them, so that its duration
// reveals neither a token nor which one it is like.
func bearer(r *http.Request, tokens []token) token {
	shown, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	digest := sha256.Sum256([]byte(shown))
	var found token
	for _, t := range tokens {
		if subtle.ConstantTimeCompare(digest[:], t.digest[:]) == 1 {
			found = t
		}
	}
	if !isBearer {
		return token{}
	}
	return found
}

type tokenNameKey struct{}

// TokenName returns the name of the token of the request that a context belongs to, or
// nothing if it has none.
func TokenName(ctx context.Context) string {
	name, _ := ctx.Value(tokenNameKey{}).(string)
	return name
}
