package main

type demoCommand struct{}

func (c *demoCommand) Run(a *app) error { return nil }
