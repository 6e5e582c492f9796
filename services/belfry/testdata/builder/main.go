// Command builder stands in for the shell and the compiler of the image golang, where the Dockerfile is to be
// run and that image can't be had. It is /bin/sh there, and takes the commands that its orders name, and no
// other. The program was compiled outside, by the same command; builder puts it where the compiler would, once
// it has seen that the build's context holds every file that went into it, as it was.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// orders are what the test has written to /standin/orders.json.
type orders struct {
	// Download and Build are the Dockerfile's commands.
	Download, Build string
	// Version is what VERSION must be while it builds.
	Version string
	// Out is where the program belongs.
	Out string
	// Files are the sources by their path, with their SHA-256; Modules are those that Download needs.
	Files, Modules map[string]string
}

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "the stand-in for golang:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 || args[1] != "-c" {
		return fmt.Errorf("it is called as %q, and not as sh -c COMMAND", args)
	}
	data, err := os.ReadFile("/standin/orders.json")
	if err != nil {
		return err
	}
	var o orders
	if err := json.Unmarshal(data, &o); err != nil {
		return err
	}
	switch args[2] {
	case o.Download:
		return compare(o.Modules)
	case o.Build:
		if got := os.Getenv("VERSION"); got != o.Version {
			return fmt.Errorf("VERSION is %q, want %q", got, o.Version)
		}
		if err := compare(o.Files); err != nil {
			return err
		}
		program, err := os.ReadFile("/standin/program")
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(o.Out), 0o755); err != nil {
			return err
		}
		return os.WriteFile(o.Out, program, 0o755)
	}
	return fmt.Errorf("it was not told of the command %q", args[2])
}

// compare returns an error unless the working directory has all files as they should be.
func compare(files map[string]string) error {
	var faults []error
	for name, want := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want {
			faults = append(faults, fmt.Errorf("%s is not what the program was made of", name))
		}
	}
	return errors.Join(faults...)
}
