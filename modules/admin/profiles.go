package admin

import (
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
)

// serveCommandLine answers like pprof.Cmdline, but without the URL of the database,
// which has a password in it.
func serveCommandLine(w http.ResponseWriter, _ *http.Request) {
	args := slices.Clone(os.Args)
	for i, arg := range args {
		switch {
		case strings.HasPrefix(arg, "--database-url="):
			args[i] = "--database-url=xxxxx"
		case i > 0 && os.Args[i-1] == "--database-url":
			args[i] = "xxxxx"
		}
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, strings.Join(args, "\x00")) // fails only when the client has gone
}
