//go:build compose

package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// The images that docker-compose.yml builds upon come from a registry, which machines that run tests need not
// reach. In their place stand images that are made of what the machine has: the NATS server, compiled from the
// module that Belfry links anyway, and for golang an image whose shell knows the Dockerfile's commands; see
// testdata/builder.

const (
	natsImage  = "NATS_IMAGE"
	goImage    = "GO_IMAGE"
	testedName = "0.0.0-compose"
)

// root is the project's folder.
var root = filepath.Join("..", "..")

// standIns makes the images and returns the variables that have docker-compose.yml use them. They are removed
// with the test.
func standIns(t *testing.T, docker docker, name string) []string {
	t.Helper()
	began := time.Now()
	dir := t.TempDir()
	download, build := buildCommands(t)
	const out = "/out/belfry"
	if strings.Count(build, out) != 1 {
		t.Fatalf("the Dockerfile's command %q does not name %s once", build, out)
	}
	program, shell, nats := filepath.Join(dir, "belfry"), filepath.Join(dir, "sh"), filepath.Join(dir, "nats-server")
	compile(t, strings.Replace(build, out, program, 1))
	compile(t, "CGO_ENABLED=0 go build -trimpath -o "+shell+" ./services/belfry/testdata/builder")
	compile(t, "CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "+nats+" github.com/nats-io/nats-server/v2")

	modules := sums(t, []string{"go.mod", "go.sum"})
	orders, err := json.Marshal(map[string]any{
		"Download": download, "Build": build, "Version": testedName, "Out": out,
		"Modules": modules, "Files": sums(t, sources(t)),
	})
	if err != nil {
		t.Fatal(err)
	}
	authority, err := makeCertificate("authority.example", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	golang := docker.importImage(t, name+"-golang", nil, map[string][]byte{
		"bin/sh": contents(t, shell), "standin/program": contents(t, program), "standin/orders.json": orders,
		"etc/ssl/certs/ca-certificates.crt": authority,
	})
	server := docker.importImage(t, name+"-nats", []string{`ENTRYPOINT ["/nats-server"]`}, map[string][]byte{"nats-server": contents(t, nats)})
	t.Logf("the images' stand-ins took %v", time.Since(began).Round(time.Second))
	return []string{goImage + "=" + golang, natsImage + "=" + server}
}

// buildCommands returns what the Dockerfile has the image golang run: one command that fetches the modules, and
// one that compiles.
func buildCommands(t *testing.T) (download, build string) {
	t.Helper()
	runs := regexp.MustCompile(`(?m)^RUN (.*[^\\])$`).FindAllStringSubmatch(string(contents(t, filepath.Join(root, "Dockerfile"))), -1)
	if len(runs) != 2 || !strings.Contains(runs[1][1], "go build ") {
		t.Fatalf("the Dockerfile runs %q: two commands are known here, of which the second compiles", runs)
	}
	return runs[0][1], runs[1][1]
}

// compile runs a command as the Dockerfile would.
func compile(t *testing.T, command string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+runtime.GOARCH, "VERSION="+testedName)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// sources returns the project's own files that the program is made of, by their path in it.
func sources(t *testing.T) (files []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,GoFiles,EmbedFiles", "./services/belfry")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var pkg struct {
			ImportPath          string
			GoFiles, EmbedFiles []string
		}
		if err := d.Decode(&pkg); err != nil {
			t.Fatal(err)
		}
		dir, ok := strings.CutPrefix(pkg.ImportPath, module)
		if !ok {
			continue
		}
		for _, name := range append(pkg.GoFiles, pkg.EmbedFiles...) {
			files = append(files, dir+"/"+name)
		}
	}
	if len(files) < 100 {
		t.Fatalf("only %d sources were found", len(files))
	}
	return append(files, "go.mod", "go.sum")
}

// sums returns the files' SHA-256.
func sums(t *testing.T, files []string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, name := range files {
		sum := sha256.Sum256(contents(t, filepath.Join(root, filepath.FromSlash(name))))
		all[name] = hex.EncodeToString(sum[:])
	}
	return all
}

// importImage makes an image of these files, all of them executable, and returns its name.
func (d docker) importImage(t *testing.T, name string, changes []string, files map[string][]byte) string {
	t.Helper()
	args := []string{"import"}
	for _, c := range changes {
		args = append(args, "--change", c)
	}
	r, w := io.Pipe()
	go func() {
		out := tar.NewWriter(w)
		err := error(nil)
		for path, data := range files {
			if err == nil {
				err = out.WriteHeader(&tar.Header{Name: path, Mode: 0o755, Size: int64(len(data)), Typeflag: tar.TypeReg})
			}
			if err == nil {
				_, err = out.Write(data)
			}
		}
		if err == nil {
			err = out.Close()
		}
		w.CloseWithError(err)
	}()
	image := name + ":test"
	d.removeLater(t, image)
	if out, err := d.command(r, append(args, "-", image)...); err != nil {
		t.Fatalf("docker import: %v\n%s", err, out)
	}
	return image
}

// removeLater removes the image with the test.
func (d docker) removeLater(t *testing.T, image string) {
	t.Cleanup(func() {
		if out, err := d.command(nil, "image", "rm", "-f", image); err != nil && !strings.Contains(fmt.Sprint(out), "No such image") {
			t.Errorf("the image %s stays behind: %v\n%s", image, err, out)
		}
	})
}
