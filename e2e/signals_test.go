package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestHangup checks that a server survives SIGHUP, and that a webhook whose body
// is still being received is answered.
func TestHangup(t *testing.T) {
	t.Parallel()
	p := launch(t, "serve all", nil, anyPorts(t.TempDir())...)
	hangUp := func() { check(t, syscall.Kill(p.PID(), syscall.SIGHUP)) }

	conn, err := net.Dial("tcp", strings.TrimPrefix(p.URL("ingest"), "http://"))
	check(t, err)
	defer func() { _ = conn.Close() }() // the answer is read before
	check(t, conn.SetDeadline(time.Now().Add(answerWithin)))
	w := orderWebhook("hangup-1", "hangup", "created", 0, `"1.00"`, "USD")
	half := len(w.body) / 2
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		w.path, len(w.body), w.body[:half])
	check(t, err)
	hangUp()
	_, err = io.WriteString(conn, w.body[half:])
	check(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatalf("a webhook in flight during SIGHUP: %v, %v, want status 202", resp, err)
	}
	hangUp()
	again, err := post(p.URL("ingest")+w.path, w.body)
	if err != nil || again.status != http.StatusAccepted {
		t.Errorf("a webhook after SIGHUP: %v, %v, want status 202", again, err)
	}
}

// TestLogReaderGone checks that a server survives the end of the process that
// reads its standard output and standard error, and still stops cleanly.
func TestLogReaderGone(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	check(t, err)
	defer func() { _ = reader.Close() }()
	server := exec.Command(binary, anyPorts(filepath.Join(t.TempDir(), "data"), "--log-level", "debug")...)
	server.Env, server.Dir = []string{"GORACE=atexit_sleep_ms=0"}, t.TempDir()
	server.Stdout, server.Stderr = writer, writer
	check(t, server.Start())
	exited := make(chan error, 1)
	go func() { exited <- server.Wait() }()
	t.Cleanup(func() { _ = server.Process.Kill() }) // it has mostly ended
	check(t, writer.Close())                        // the server has its own
	check(t, reader.SetReadDeadline(time.Now().Add(startWithin)))

	var ingest string
	ready := false
	for lines := bufio.NewScanner(reader); !ready && lines.Scan(); {
		var entry struct{ Msg, Name, URL string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Name == "ingest" {
			ingest = entry.URL
		}
		ready = entry.Msg == "ready"
	}
	if !ready {
		t.Fatal("the server did not log that it is ready")
	}
	check(t, reader.Close())
	for i := range 3 {
		w := orderWebhook(fmt.Sprintf("unread-%d", i), "unread", "created", 0, `"1.00"`, "USD")
		answer, err := post(ingest+w.path, w.body) // each is logged at level debug
		if err != nil || answer.status != http.StatusAccepted {
			t.Fatalf("a webhook after the log reader left: %v, %v, want status 202", answer, err)
		}
	}
	check(t, server.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-exited:
		check(t, err)
	case <-time.After(stopWithin):
		t.Errorf("the server did not stop within %s", stopWithin)
	}
}
