//go:build !windows

package main

import (
	"context"
	"io"
	"net"
	"os"
)

// dialAgent calls the ssh-agent at the socket that SSH_AUTH_SOCK names.
func dialAgent(ctx context.Context) (io.ReadWriteCloser, error) {
	var dialer net.Dialer
	return dialer.DialContext(ctx, "unix", os.Getenv("SSH_AUTH_SOCK"))
}
