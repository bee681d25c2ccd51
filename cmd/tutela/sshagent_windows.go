package main

import (
	"context"
	"io"
	"net"
	"os"
)

// agentPipe is where OpenSSH's agent for Windows listens.
const agentPipe = `\\.\pipe\openssh-ssh-agent`

// dialAgent calls the ssh-agent at the socket that SSH_AUTH_SOCK names, or where
// there is none the one of Windows.
func dialAgent(ctx context.Context) (io.ReadWriteCloser, error) {
	socket := os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return os.OpenFile(agentPipe, os.O_RDWR, 0)
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, "unix", socket)
}
