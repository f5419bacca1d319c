package transport

// protobufWire is binary Protobuf over HTTP/1.1, the cheapest of the RPC modes:
// the library's own defaults.
func protobufWire() wire { return wire{http: http1()} }
