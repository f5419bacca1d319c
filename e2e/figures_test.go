package e2e

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/payments"
)

// needFigures skips a test that takes figures, for which the machine has to do nothing
// else.
func needFigures(t *testing.T) {
	t.Helper()
	if os.Getenv("PAYRELAY_TEST_FIGURES") == "" {
		t.Skip("PAYRELAY_TEST_FIGURES is not set: run this test by task listener-figures")
	}
}

const (
	slowClients   = 2000
	idleClients   = 5000
	goodRate      = 500
	goodFor       = 20 * time.Second
	crowdRounds   = 3
	maxSlowdown   = 2
	maxResidentKB = 256 << 10
)

// TestCrowd: clients that send slowly and clients that send nothing affect neither the
// latency of good webhooks nor the memory much. The limits of connections are those of
// production.
func TestCrowd(t *testing.T) {
	needFigures(t)
	for _, mode := range payments.Modes {
		t.Run(string(mode), func(t *testing.T) {
			c := startCluster(t, setup{mode, embedded, oneProcess}, options{})
			sendAtRate(t, c, "warm-up", 5*time.Second)
			var alone, beside []time.Duration
			for round := range crowdRounds {
				alone = append(alone, sendAtRate(t, c, fmt.Sprint("alone ", round), goodFor))
				crowd := startCrowd(t, c.url("ingest"))
				beside = append(beside, sendAtRate(t, c, fmt.Sprint("beside the crowd ", round), goodFor))
				crowd.stop(t)
			}
			slices.Sort(alone)
			slices.Sort(beside)
			resident := peakResident(t, c.running["all"])
			t.Logf("p99 alone %s, beside the crowd %s (medians of %d rounds); peak of resident memory %d MiB",
				alone[crowdRounds/2], beside[crowdRounds/2], crowdRounds, resident>>10)
			if beside[crowdRounds/2] > maxSlowdown*alone[crowdRounds/2] {
				t.Errorf("the p99 beside the crowd is %s, want at most %d times %s", beside[crowdRounds/2], maxSlowdown, alone[crowdRounds/2])
			}
			if resident > maxResidentKB {
				t.Errorf("the peak of resident memory is %d MiB, want at most %d", resident>>10, maxResidentKB>>10)
			}
		})
	}
}

// sendAtRate sends webhooks at a steady rate, whether or not earlier ones are answered,
// and returns the 99th percentile of the time from when one was due to its answer.
func sendAtRate(t *testing.T, c *cluster, name string, duration time.Duration) time.Duration {
	t.Helper()
	from := clientAt("127.0.0.2")
	took := make([]time.Duration, int(duration.Seconds()*goodRate))
	var failed atomic.Int64
	var answers sync.WaitGroup
	begin := time.Now()
	for i := range took {
		due := begin.Add(time.Duration(i) * time.Second / goodRate)
		wait.Pause(t.Context(), time.Until(due))
		answers.Go(func() {
			event := fmt.Sprint(name, " ", i)
			w := orderWebhook(event, event, "created", 0, `"1.00"`, "USD")
			answer, err := doBy(from, http.MethodPost, c.url("ingest")+w.path, w.body, "Content-Type", "application/json")
			if err != nil || answer.status != c.accepted() {
				failed.Add(1)
			}
			took[i] = time.Since(due)
		})
	}
	answers.Wait()
	if n := failed.Load(); n > 0 {
		t.Errorf("%s: %d of %d webhooks failed", name, n, len(took))
	}
	slices.Sort(took)
	at := func(percent int) time.Duration {
		return took[(len(took)-1)*percent/100].Round(10 * time.Microsecond)
	}
	t.Logf("%s: p50 %s, p99 %s, max %s", name, at(50), at(99), at(100))
	return at(99)
}

// crowd are the clients of one address that send slowly or nothing.
type crowd struct {
	url     string
	ending  chan struct{}
	slow    sync.WaitGroup
	running atomic.Int64 // slow clients that are connected
	closed  atomic.Int64 // connections that were closed by the server
	ok      atomic.Int64 // answers 2xx to slow clients
	idle    []net.Conn
}

const crowdAddress = "127.0.0.3"

// startCrowd returns when all clients are connected.
func startCrowd(t *testing.T, url string) *crowd {
	t.Helper()
	c := &crowd{url: url, ending: make(chan struct{})}
	for range idleClients {
		conn, err := dialFrom(crowdAddress, url)
		check(t, err)
		// A connection without any request does not even last as long as slow headers.
		_, err = io.WriteString(conn, "GET "+ordersPath+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
		check(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		check(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		check(t, err)
		c.idle = append(c.idle, conn)
	}
	body := orderWebhook("slow", "slow", "created", 0, `"1.00"`, "USD").body
	headers := "POST " + ordersPath + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Long: " + strings.Repeat("a", 1000)
	for i := range slowClients {
		// Half of them send the headers slowly, half the body.
		quick, slow := "", headers
		if i%2 == 1 {
			quick, slow = fmt.Sprintf("%s\r\nContent-Length: %d\r\n\r\n", headers, len(body)), body
		}
		c.slow.Go(func() { c.sendSlowly(quick, slow) })
	}
	wait.Until(t, time.Minute, "the slow clients are connected", func() bool { return c.running.Load() == slowClients })
	return c
}

func dialFrom(address, url string) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return dialer.Dial("tcp", strings.TrimPrefix(url, "http://"))
}

// sendSlowly sends a byte in a second, and begins again when the server has closed the
// connection.
func (c *crowd) sendSlowly(quick, slow string) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	pause := func(d time.Duration) bool {
		select {
		case <-c.ending:
			return false
		case <-time.After(d):
			return true
		}
	}
	for pause(rand.N(time.Second)) {
		conn, err := dialFrom(crowdAddress, c.url)
		if err != nil {
			continue
		}
		c.running.Add(1)
		_, err = io.WriteString(conn, quick)
		for i := 0; err == nil && pause(time.Second); i++ {
			if _, err = conn.Write([]byte(slow[i : i+1])); err == nil {
				// The answer, if there is one, is there when the connection is closed.
				err = c.readAnswer(conn)
			}
		}
		if err != nil {
			c.closed.Add(1)
		}
		_ = conn.Close()
		c.running.Add(-1)
	}
}

// readAnswer returns an error if the server has closed the connection. It does not wait.
func (c *crowd) readAnswer(conn net.Conn) error {
	_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	var answer [64]byte
	n, err := conn.Read(answer[:])
	if strings.HasPrefix(string(answer[:n]), "HTTP/1.1 2") {
		c.ok.Add(1)
	}
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		return nil
	}
	return err
}

// stop ends the clients, and checks that they were a crowd until then: the idle ones were
// all connected.
func (c *crowd) stop(t *testing.T) {
	t.Helper()
	running := c.running.Load()
	close(c.ending)
	c.slow.Wait()
	open := 0
	for _, conn := range c.idle {
		if c.readAnswer(conn) == nil {
			open++
		}
		_ = conn.Close()
	}
	t.Logf("at the end of the crowd: %d slow and %d idle clients connected; %d slow ones were closed", running, open, c.closed.Load())
	if running < slowClients/2 || open < idleClients || c.closed.Load() == 0 || c.ok.Load() > 0 {
		t.Errorf("want at least %d slow and %d idle clients, some slow ones closed, and none of them accepted (%d)", slowClients/2, idleClients, c.ok.Load())
	}
}

// peakResident returns the largest resident memory that a process had, in KiB.
func peakResident(t *testing.T, p *process) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	check(t, err)
	peak := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if peak == nil {
		t.Fatalf("no peak of resident memory in %s", status)
	}
	kib, _ := strconv.Atoi(string(peak[1])) // these are digits
	return kib
}
