// Command app is payrelay. It receives payment webhooks, relays them over the
// transport of the operator's choice and applies each to orders and disputes:
// delivered twice, it changes data once.
package main

import (
	"os"

	"github.com/payrelay/payrelay/cmd"
)

func main() { os.Exit(cmd.Main()) }
