/**
 * The help: what a person needs to know without looking elsewhere. A line that begins with
 * `## ` is a heading, with `- ` an item, with four blanks a line to copy; a text in
 * backticks is code; `[words](/path)` leads to a page. Anything else is a paragraph.
 */

export interface HelpPage {
  id: string;
  title: string;
  text: string;
}

export const helpPages: readonly HelpPage[] = [
  {
    id: "start",
    title: "Getting started",
    text: `
holdfast watches this host and the servers it depends on, keeps applications connected when one of those servers fails, and tells you before something runs out. It is one program with one file of data, and needs nothing else.
## The first token
At its first start the agent writes an admin token into its data directory. On the host itself reading needs no token; everything that changes something does.
    sudo cat /var/lib/holdfast/admin.token
Sign in with it, then make a token or a user for each person and program under [Access](/settings/access). A token is shown once.
## Then
- Look at the [host](/host): figures arrive each second and are kept for a day, by the minute for 30 days, by the hour for two years.
- Add what the host depends on: [targets](/targets).
- Say who is told: [channels](/channels), each with a test, and [routes](/settings?tab=routes).
- Make a [backup](/maintain) and verify it.
## Other machines
The agent listens on this host only. To open it to the network, set \`listen\` together with \`[tls]\`; without encryption or without sign-in it refuses to start and names the setting. \`holdfast setup --lan\` does all of it at once.`,
  },
  {
    id: "targets",
    title: "Targets and breakers",
    text: `
A target is something the agent probes: a PostgreSQL server, an object store, Redis, gRPC, Nostr, a web address, a TCP port, a systemd unit. A probe does what a client would do, step by step, and each step is an operation with its own time and outcome.
## Outcomes
- ok: it answered as expected.
- misconfigured: it answers, and refuses what was asked, as with a wrong password.
- overloaded: it asks for less load.
- down: it does not answer, or fails.
## Breakers
Each target has a breaker, as in a fuse box: closed lets calls pass, open rejects them at once, half open lets a few pass to see whether the target is back. Behind an open breaker only one light probe per interval goes out, so a server that comes back is not overrun.
- It opens after 3 failures in a row, or when too large a share of the calls fails or is slow.
- It waits, longer each time, then tries a few calls, and closes when they succeed.
- You can force it open, disable it, or let it only count; it then stays so until you release it.
## Add one
    [[target.postgres]]
    name = "pg1"
    host = "127.0.0.1"
    user = "holdfast"
    password_file = "/etc/holdfast/pg1"`,
  },
  {
    id: "alerts",
    title: "Alerts and rules",
    text: `
A rule is an expression in PromQL and what is wrong about its value. Where it stays true for the time the rule asks for, an alert fires. It ends when the value is clearly good again, not when it merely touches the limit.
## What you can do with an alert
- Acknowledge it: somebody has seen it. Reminders stop until it gets worse, or until the time you give.
- Silence it: nobody is told for a while, the alert stays on the page.
- Resolve it: it comes back only after its condition was false once.
## Rules
Many rules come with the program; [each](/rules) can be changed, and only what you change is saved. Before saving, a replay says how often the rule would have fired in the last days. Rule files of Prometheus can be imported.
## Who is told
The first [route](/settings?tab=routes) that matches decides. A message waits some seconds for others that belong to it, is tried again until it arrives or a day is over, and survives a restart; [deliveries](/channels?tab=deliveries) shows what became of each. During [quiet hours](/settings?tab=quiet) only what is critical disturbs.
## Severity
info, low, medium, high, critical, emergency, in this order. One rule may have several levels: full to 80 % is medium, to 95 % critical, and it is one alert all the time.`,
  },
  {
    id: "failover",
    title: "Failover and what it promises",
    text: `
A failover group is a PostgreSQL primary with its standbys, and one local address that applications use. When the primary fails, a standby takes over and the address leads there. Nothing in the applications changes.
## What is promised
- The address leads to one writable server, never to two.
- No server is promoted while another one may still be written to. Where the agent cannot be sure, it waits and says why.
- What was decided is written down before it is done, so an agent that is killed in the middle goes on where it was.
## How much can be lost
It depends on how the servers are set up. The [group's page](/failover) says which of these holds:
- switch: the agent only moves the route; somebody else promotes.
- async: the standby may lack the last moments. A failover beyond \`max_lag\` is refused unless you accept the loss.
- sync: a commit waits for the standby; nothing acknowledged is lost.
- fenced: the old primary is certainly stopped first.
## Before you need it
Test says what a failover would do now and changes nothing. A drill really switches over and back. Pause the group while you work on the servers.
## Afterwards
The former primary stays fenced: the agent lets nobody reach it. Its page shows the exact command that makes it a standby again. Check it, then run it.`,
  },
  {
    id: "backup",
    title: "Backup and restore",
    text: `
A backup holds the agent's own state: samples, alerts, rules, settings, tokens. It is not a backup of your databases. It is made while the agent runs, and is consistent.
## Keep it elsewhere
Backups lie below the data directory unless \`[backup]\` names another place. Copy them to another disk. Secrets in it are sealed with the key of this host: to restore on new hardware keep \`holdfast.key\` too, or seal the backup to a passphrase.
## Verify
Verify reads the whole file and compares its checksum. A backup that nobody verified is a hope.
## Restore
[Restore](/maintain) first as a dry run: it says what would change. The real one replaces the state in one step and keeps the old file beside it.
    holdfast backup create
    holdfast backup ls
    holdfast backup verify ID
    holdfast backup restore ID --dry-run
## Room
The store never grows beyond its cap. When it is full the oldest samples go first; alerts and settings never. [Retention](/settings?tab=retention) shows what a change takes before you save it.`,
  },
  {
    id: "keyboard",
    title: "Keyboard and charts",
    text: `
- \`/\` or \`Ctrl K\`: go to any page or action by its name.
- \`?\`: the keys of the page that is shown.
- \`l\`: live on or off.
- \`+\` \`-\` \`[\` \`]\` \`0\`: zoom in, zoom out, earlier, later, back.
- \`t\`: theme. High contrast is in the list of \`/\`.
## Charts
Drag over a chart to zoom all of them; double click to go back. The time range is part of the address, so a link shows others what you see. A break in a line means that there is no sample, never zero. Older times have coarser steps: the band then spans the smallest to the largest sample, and the chart says its resolution.
## Marks
Status is a shape and a word; colour only repeats it. A disc is well, a triangle wants a look, a square is broken, a ring is not known.
## Expressions
[Explore](/explore) takes any expression of PromQL: \`Tab\` takes an offered name, the arrow keys choose another, \`Escape\` closes the list, \`Enter\` runs it.`,
  },
];
