//go:build !linux

package main

var constraints map[string]func()
