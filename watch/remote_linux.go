package watch

import "golang.org/x/sys/unix"

// remote returns the name of the filesystem that path is on if it is one that
// changes without events: on another machine, on the host of a virtual one, or in
// a program. It returns "" for all others.
func remote(path string) string {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return ""
	}
	return remotes[uint32(s.Type)]
}

// remotes are the magic numbers of statfs(2) and of the kernel's sources; the last
// four are those of drivers outside of it.
var remotes = map[uint32]string{
	unix.V9FS_MAGIC:        "9p", // WSL 2, QEMU, gVisor
	unix.NFS_SUPER_MAGIC:   "nfs",
	unix.FUSE_SUPER_MAGIC:  "fuse", // sshfs, virtiofs
	unix.SMB_SUPER_MAGIC:   "smb",
	unix.SMB2_SUPER_MAGIC:  "smb",
	unix.CIFS_SUPER_MAGIC:  "cifs",
	unix.AFS_SUPER_MAGIC:   "afs",
	unix.AFS_FS_MAGIC:      "afs",
	unix.CODA_SUPER_MAGIC:  "coda",
	unix.CEPH_SUPER_MAGIC:  "ceph",
	unix.OCFS2_SUPER_MAGIC: "ocfs2",
	unix.NCP_SUPER_MAGIC:   "ncp",
	0x786f4256:             "vboxsf",
	0xbacbacbc:             "vmhgfs",
	0x7c7c6673:             "prl_fs",
	0x0bd00bd0:             "lustre",
}
