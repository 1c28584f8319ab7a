// Package standby keeps a spare exec ready between the runs of a client that
// comes and goes.
//
// A keeper is a process of the user's, on the user's machine, that outlives the
// run that left it behind, as ssh's ControlPersist does. It holds one
// [execproxy.Spare]: an exec that has been started and waits for its command. The
// next client takes the spare's connection over as a file descriptor, through a
// unix socket in a directory of the user's own, and talks to the Engine by itself
// from then on; the keeper only waits for it to say that the run is over, and then
// starts the next spare. A spare is never started while a run is going on.
//
// A connection that only the keeper can go on with, since TLS has its state there or a
// connection helper its process, is relayed: what the client is given is the end of a
// socket. To reach such an Engine takes round trips, so the keeper has one connection more,
// for what else the client has to ask ([Dial]).
//
// There is nothing that a run can lose by it unseen. Whatever is wrong with a keeper, a
// run does without: Take gives up after 250 ms, a spare that has died has begun
// nothing, and a command that has begun needs no keeper any more; one whose output was
// relayed is lost with its keeper, and says so. A client that is
// gone without a last message was killed: then its keeper ends what it has left running.
//
// The package knows no options and no terminal, and decides nothing about who has
// a keeper and for how long.
package standby
