// Package config reads belfry.yaml: strictly, with every fault named by file, line and column. What the
// file may hold is said by the schema, belfry.config.v1; what can't be said there is checked here, and by
// the Checks of the services for rules and templates.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
)

// Parts says which services' parts a file must have.
type Parts struct {
	Gateway, Notifier bool
	// Remote says that the gateway's notifier is another process, so that its address is needed.
	Remote bool
}

// maxFile bounds the configuration and the files that it names.
const maxFile = 16 << 20

// Load reads the file, puts environment variables and files in place of ${NAME} and ${file:PATH}, checks
// everything, and fills in the defaults. On error the configuration is nil; the error is Faults unless the
// file itself can't be read. checks are asked as well; what they find at values without another fault is
// among the Faults.
func Load(path string, parts Parts, checks ...Check) (*configv1.Config, error) {
	src, err := Read(path)
	if err != nil {
		return nil, err
	}
	return src.Config(parts, checks...)
}

// Parse is Load for a file that was read already; path names it in errors.
func Parse(path string, data []byte, parts Parts, checks ...Check) (*configv1.Config, error) {
	return newSource(path, data).Config(parts, checks...)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, plain(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, plain(err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("is larger than %d MiB", maxFile>>20)
	}
	return data, nil
}

// plain takes the operation and the path off a file error: whoever reports it names the file.
func plain(err error) error {
	var perr *fs.PathError
	if errors.As(err, &perr) {
		if errors.Is(perr.Err, fs.ErrNotExist) {
			return errors.New("there is no such file")
		}
		return perr.Err
	}
	return err
}
