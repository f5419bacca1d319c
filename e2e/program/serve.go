package program

// Serve is the command line of a server process. A field that is empty sets no
// flag.
type Serve struct {
	// Role is "all", "ingest", "api" or "broker".
	Role, Mode string
	// Admin, API, Internal, Ingest and Broker are the addresses of the listeners.
	Admin, API, Internal, Ingest, Broker string
	DataDir, DatabaseURL                 string
	// APIURL is where ingest calls the api role.
	APIURL string
	// Brokers are addresses of Kafka, separated by commas.
	Brokers, InstanceID string
	Topics              Topics
	// More are further arguments.
	More []string
}

// Args returns the arguments of the program.
func (s Serve) Args() []string {
	args := []string{"serve", s.Role, "--log-format", "json"}
	for _, flag := range []struct{ name, value string }{
		{"--mode", s.Mode},
		{"--admin-addr", s.Admin},
		{"--api-addr", s.API},
		{"--internal-addr", s.Internal},
		{"--ingest-addr", s.Ingest},
		{"--broker-addr", s.Broker},
		{"--data-dir", s.DataDir},
		{"--database-url", s.DatabaseURL},
		{"--api-url", s.APIURL},
		{"--kafka-brokers", s.Brokers},
		{"--kafka-instance-id", s.InstanceID},
	} {
		if flag.value != "" {
			args = append(args, flag.name, flag.value)
		}
	}
	if s.Topics != (Topics{}) {
		args = append(args, s.Topics.Flags()...)
	}
	return append(args, s.More...)
}
