package standby

// Abandon ends a lease as the death of its client does.
func Abandon(l *Lease) { l.conn.Close() }

// Version is that of the messages.
const Version = wireVersion
