package program

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// probes are answered at once or not at all.
var probes = &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// Probe asks an admin listener, by a URL such as http://127.0.0.1:9000/readyz; not
// ok is any answer but 200, or why there is none.
func Probe(url string) (answer string, ok bool) {
	resp, err := probes.Get(url)
	if err != nil {
		return err.Error(), false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error(), false
	}
	return strings.TrimSpace(string(body)), resp.StatusCode == http.StatusOK
}
