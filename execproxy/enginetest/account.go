package enginetest

import (
	"errors"
	"math"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// An account is whom a process runs as.
type account struct {
	uid, gid uint32
	groups   []uint32
	home     string
	self     bool // the test's own, which needs no right to become
}

// lookupUser reads name or uid, with or without :group, as the Engine does. The
// machine's users are the container's. "" is the test's own.
func lookupUser(spec string) (*account, error) {
	if spec == "" {
		a := &account{self: true, home: "/"}
		if u, err := user.Current(); err == nil {
			a.home = u.HomeDir
		}
		return a, nil
	}
	name, group, withGroup := strings.Cut(spec, ":")
	a := &account{home: "/"} // a uid without an account: group 0 and home /
	u, err := user.Lookup(name)
	if n, isNumber := number(name); isNumber && err != nil {
		if n < 0 || n > math.MaxInt32 {
			return nil, errors.New("uids and gids must be in range 0-2147483647")
		}
		a.uid = uint32(n)
		u, err = user.LookupId(name)
		if err != nil {
			u, err = nil, nil
		}
	}
	if err != nil {
		return nil, errors.New("unable to find user " + name + ": no matching entries in passwd file")
	}
	if u != nil {
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		a.uid, a.gid, a.home = uint32(uid), uint32(gid), u.HomeDir
		if ids, err := u.GroupIds(); err == nil && !withGroup {
			for _, id := range ids {
				n, _ := strconv.ParseUint(id, 10, 32)
				a.groups = append(a.groups, uint32(n))
			}
		}
	}
	if withGroup {
		if n, isNumber := number(group); isNumber {
			if n < 0 || n > math.MaxInt32 {
				return nil, errors.New("uids and gids must be in range 0-2147483647")
			}
			a.gid = uint32(n)
		} else if g, err := user.LookupGroup(group); err == nil {
			gid, _ := strconv.ParseUint(g.Gid, 10, 32)
			a.gid = uint32(gid)
		} else {
			return nil, errors.New("unable to find group " + group + ": no matching entries in group file")
		}
	}
	a.self = int(a.uid) == os.Getuid() && int(a.gid) == os.Getgid()
	return a, nil
}

func number(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil
}
