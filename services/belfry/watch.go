package main

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
)

const (
	// settleTime is how long a file must be left alone before it is read: whoever writes one does it in
	// several steps.
	settleTime = 200 * time.Millisecond
	// settleMost bounds that for a file that is never left alone.
	settleMost = 2 * time.Second
	// maxLinks bounds how many symbolic links are followed on the way to a file.
	maxLinks = 40
)

// watcher tells when something may have happened to some files. It watches the folders of the files, and of
// every symbolic link on the way to them, since files are mostly replaced and not written: by editors, and by
// Kubernetes, which swaps a link several folders away. What has happened, if anything, is for the caller to
// see.
type watcher struct {
	notify *fsnotify.Watcher // nil where the system has none to give
	log    *zap.Logger
	// places are the names that matter: of files and links, absolute and without links before the last part.
	places map[string]bool
	// touched is when the first of the changes came that were not told of yet; settled ticks once they were
	// left alone.
	touched time.Time
	settled <-chan time.Time
}

// newWatcher returns a watcher of nothing yet. The caller closes it.
func newWatcher(log *zap.Logger) *watcher {
	w := &watcher{log: log, places: make(map[string]bool)}
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("config.watch: changes are found by looking now and then, since the system tells of none", zap.Error(err))
		return w
	}
	w.notify = notify
	return w
}

func (w *watcher) close() {
	if w.notify != nil {
		_ = w.notify.Close() // it has nothing left to say
	}
}

// follow has w watch these files, and no others from now on.
func (w *watcher) follow(files []string) {
	if w.notify == nil {
		return
	}
	w.places = make(map[string]bool)
	folders := make(map[string]bool)
	for _, file := range files {
		for _, place := range trail(file) {
			w.places[place] = true
			folders[filepath.Dir(place)] = true
		}
	}
	for _, folder := range w.notify.WatchList() {
		if !folders[folder] {
			_ = w.notify.Remove(folder) // it may be gone by itself
		}
	}
	for folder := range folders {
		if err := w.notify.Add(folder); err != nil && !errors.Is(err, os.ErrNotExist) {
			w.log.Debug("config.watch: a folder can't be watched", zap.String("folder", folder), zap.Error(err))
		}
	}
}

// events is where the system tells what has happened; it is for told.
func (w *watcher) events() <-chan fsnotify.Event {
	if w.notify == nil {
		return nil
	}
	return w.notify.Events
}

// errors is where the system tells that it could not tell all; it is for lost.
func (w *watcher) errors() <-chan error {
	if w.notify == nil {
		return nil
	}
	return w.notify.Errors
}

// told takes an event, and has settled tick in a while if it matters.
func (w *watcher) told(ev fsnotify.Event) {
	if w.places[filepath.Clean(ev.Name)] {
		w.touch(time.Now())
	}
}

// lost takes an error: something may have happened that was not told.
func (w *watcher) lost(err error) {
	w.log.Debug("config.watch", zap.Error(err))
	w.touch(time.Now())
}

func (w *watcher) touch(now time.Time) {
	if w.touched.IsZero() {
		w.touched = now
	}
	w.settled = time.After(min(settleTime, max(0, w.touched.Add(settleMost).Sub(now))))
}

// taken says that what has happened so far was seen.
func (w *watcher) taken() { w.touched, w.settled = time.Time{}, nil }

// trail returns what leads to a file: each symbolic link on the way, and last the file itself, all of them
// absolute and without links before the last part.
func trail(file string) []string {
	var places []string
	rest, err := filepath.Abs(file)
	if err != nil {
		return nil
	}
	for range maxLinks {
		link, target := firstLink(rest)
		if link == "" {
			break
		}
		places = append(places, link)
		behind, err := filepath.Rel(link, rest)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(link), target)
		}
		rest = filepath.Join(target, behind)
	}
	return append(places, rest)
}

// firstLink returns the first symbolic link on the absolute path, and where it leads; empty without one.
func firstLink(path string) (link, target string) {
	if parent := filepath.Dir(path); parent != path {
		if link, target = firstLink(parent); link != "" {
			return link, target
		}
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		return "", ""
	}
	if target, err = os.Readlink(path); err != nil {
		return "", ""
	}
	return path, target
}
