// Command app is payrelay: it takes payment webhooks in, carries them over the
// transport of the operator's choice and applies each exactly once in effect.
package main

import (
	"os"

	"github.com/payrelay/payrelay/cmd"
)

func main() { os.Exit(cmd.Main()) }
