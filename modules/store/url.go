package store

import (
	"net/url"
	"strings"
)

// RedactURL returns a database URL to show in messages: without its password, and
// without its parameters, which can hold one too. ok is false, and redacted empty,
// where it is not certain which part of the text is a password: for what is not a
// URL, such as libpq's keywords, and a URL with a special character in it that is
// not written as %XX.
func RedactURL(databaseURL string) (redacted string, ok bool) {
	if strings.HasPrefix(databaseURL, "sqlite:") { // the path of a file
		path, _, _ := strings.Cut(databaseURL, "?")
		return path, true
	}
	scheme, rest, isURL := strings.Cut(databaseURL, "://")
	if !isURL { // the path of a file, or anything
		if strings.ContainsAny(databaseURL, ":@=?"+whitespace) {
			return "", false
		}
		return databaseURL, true
	}
	user, rest := cutUser(rest)
	user, _, hasPassword := strings.Cut(user, ":")
	place, _, _ := strings.Cut(rest, "?")
	_, err := url.PathUnescape(databaseURL)
	switch {
	case err != nil,
		strings.ContainsAny(databaseURL, whitespace),
		strings.ContainsAny(scheme, ":@=/?"),
		strings.Contains(user, "="),
		strings.Contains(place, "="),
		strings.Contains(rest, "@"), // an @, / or ? in the password
		!hasNumericPorts(place):     // user:password without a host
		return "", false
	}
	if hasPassword {
		user += ":xxxxx"
	}
	if user != "" {
		user += "@"
	}
	return scheme + "://" + user + place, true
}

const whitespace = " \t\r\n\v\f"

// cutUser splits what follows the scheme of a URL into user:password and the rest.
// Like libpq, it takes an @ for the end of the password only before the first /.
func cutUser(text string) (user, rest string) {
	if i := strings.IndexAny(text, "@/"); i >= 0 && text[i] == '@' {
		return text[:i], text[i+1:]
	}
	return "", text
}

// hasNumericPorts reports whether each host of host:port,host:port/name has a port
// that is a number, or none.
func hasNumericPorts(place string) bool {
	hosts, _, _ := strings.Cut(place, "/")
	for host := range strings.SplitSeq(hosts, ",") {
		_, afterIPv6, found := strings.Cut(host, "]")
		if found {
			host = afterIPv6
		}
		if _, port, _ := strings.Cut(host, ":"); strings.Trim(port, "0123456789") != "" {
			return false
		}
	}
	return true
}
