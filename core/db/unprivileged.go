package db

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// unprivileged is the user a server runs as when we are root, which PostgreSQL refuses to run as.
type unprivileged struct {
	name     string
	uid, gid uint32
}

func findUnprivileged() (*unprivileged, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return &unprivileged{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as; start as another user")
}

// mayEnter checks that the user can pass through every folder down to dir.
func (u *unprivileged) mayEnter(dir string) error {
	for path := dir; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDataDir, err)
		}
		if !u.mayPass(info) {
			return fmt.Errorf("%w: PostgreSQL does not run as root but as user %s, which may not enter %s; choose a data folder elsewhere, such as /var/lib/fairgate, "+
				"or open that one with chmod o+x", ErrDataDir, u.name, path)
		}
		if path == filepath.Dir(path) {
			return nil
		}
	}
}

func (u *unprivileged) mayPass(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	switch {
	case !ok:
		return true
	case stat.Uid == u.uid:
		return mode&0o100 != 0
	case stat.Gid == u.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}
