package deployment

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// sockets asks the kernel for all TCP sockets. It counts the bytes of each, so
// nothing has to stand between a client and its server.
func sockets() ([]socket, error) {
	var all []socket
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		found, err := netlink.SocketDiagTCPInfo(family)
		if err != nil {
			return nil, fmt.Errorf("ask the kernel for sockets: %w", err)
		}
		for _, s := range found {
			one := socket{
				cookie:    s.InetDiagMsg.ID.Cookie,
				localPort: int(s.InetDiagMsg.ID.SourcePort), peerPort: int(s.InetDiagMsg.ID.DestinationPort),
				listens: s.InetDiagMsg.State == netlink.TCP_LISTEN, inode: s.InetDiagMsg.INode,
			}
			if s.TCPInfo != nil { // a connection that is gone has none
				one.received, one.sent = int64(s.TCPInfo.Bytes_received), int64(s.TCPInfo.Bytes_acked)
			}
			all = append(all, one)
		}
	}
	return all, nil
}

// listener is the process that listens on a port; 0 if there is none, or none
// whose files this user may see.
func listener(port int) int {
	all, err := sockets()
	if err != nil {
		return 0
	}
	for _, s := range all {
		if !s.listens || s.localPort != port {
			continue
		}
		if pid := holder(fmt.Sprintf("socket:[%d]", s.inode)); pid > 0 {
			return pid
		}
	}
	return 0
}

// holder is the first process that has a file open: children of a server can
// have it too, and come later.
func holder(file string) int {
	for _, pid := range processes() {
		open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid)) // the pattern is well-formed
		for _, descriptor := range open {
			if target, err := os.Readlink(descriptor); err == nil && target == file {
				return pid
			}
		}
	}
	return 0
}
