//go:build linux

package deployment

import (
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCPUOfThisProcess(t *testing.T) {
	before := OwnCPU()
	for begin := time.Now(); OwnCPU() < before+50*time.Millisecond; {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("OwnCPU() = %s after 20 s of work, want at least 50ms more than %s", OwnCPU(), before)
		}
	}
}

// The processes of a database come and go; those that have ended count as well.
func TestCPUOfATree(t *testing.T) {
	before := treeCPU(os.Getpid())
	if err := exec.Command("/bin/sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done").Run(); err != nil {
		t.Fatal(err)
	}
	if used := treeCPU(os.Getpid()) - before; used < 20*time.Millisecond {
		t.Errorf("treeCPU increased by %s after a child ran and ended, want at least 20ms", used)
	}
}

func TestPeakMemory(t *testing.T) {
	peak, err := peakMemory(os.Getpid())
	if err != nil || peak < 1<<20 || peak > 8<<30 {
		t.Errorf("peakMemory(this process) = %d, %v, want from 1 MiB to 8 GiB", peak, err)
	}
}

func TestBytesOnTheWireAreCounted(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	client, err := net.Dial("tcp", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	far, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = far.Close() }()

	d := &Deployment{servers: map[string]string{"internal": "http://" + server.Addr().String()}}
	before := d.Connections()
	send(t, client, far, 70_000)
	send(t, far, client, 300)
	// The last acknowledgement may still be in flight.
	for begin := time.Now(); ; {
		got := d.Connections().Since(before)["internal"]
		if got == (Traffic{To: 70_000, From: 300}) {
			return
		}
		if time.Since(begin) > 10*time.Second {
			t.Fatalf("traffic = %+v, want 70000 bytes to the server and 300 from it", got)
		}
	}
}

func send(t *testing.T, from, to net.Conn, size int64) {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := from.Write(make([]byte, size))
		sent <- err
	}()
	if _, err := io.CopyN(io.Discard, to, size); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

func TestListenerIsFound(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := portOf(server.Addr().String())
	if got := listener(port); got != os.Getpid() {
		t.Errorf("listener(%d) = %d, want this process, %d", port, got, os.Getpid())
	}
	_ = server.Close()
	if got := listener(port); got != 0 {
		t.Errorf("listener(%d) = %d after the port was closed, want 0", port, got)
	}
}

// Each broker of a cluster leads some partitions, so all of them carry traffic.
func TestAllServersAreMeasured(t *testing.T) {
	var brokers []string
	for range 2 {
		server, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = server.Close() }() // the test has ended
		brokers = append(brokers, server.Addr().String())
	}
	d := &Deployment{servers: make(map[string]string), spec: Spec{
		Mode: "kafka", DatabaseURL: "postgres://u:p@db.example/x", Kafka: Kafka{Brokers: strings.Join(brokers, ", ") + ",far.example:9092"},
	}}
	d.addServers()
	want := map[string]string{"database": "db.example:5432", "broker": brokers[0], "broker-2": brokers[1], "broker-3": "far.example:9092"}
	if !maps.Equal(d.servers, want) {
		t.Errorf("servers = %v, want %v", d.servers, want)
	}
	if want := []localServer{{"broker", os.Getpid()}, {"broker-2", os.Getpid()}}; !slices.Equal(d.localServers, want) {
		t.Errorf("local servers = %v, want %v", d.localServers, want)
	}
}

func TestPortOf(t *testing.T) {
	for address, want := range map[string]int{
		"127.0.0.1:80": 80, "http://127.0.0.1:3002": 3002, "[::1]:9": 9, "nowhere": 0, "": 0,
		addressOf("postgres://u:p@db.example/x"): 5432, addressOf("postgres://u:p@db.example:99/x"): 99,
	} {
		if got := portOf(address); got != want {
			t.Errorf("portOf(%q) = %d, want %d", address, got, want)
		}
	}
}
