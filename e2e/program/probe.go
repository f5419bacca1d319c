package program

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// probes uses a new connection for every request.
var probes = &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// Probe requests a URL of an admin listener, such as http://127.0.0.1:9000/readyz. It
// returns the body and whether the status is 200, or the text of an error and false.
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
