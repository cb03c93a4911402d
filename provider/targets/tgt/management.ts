import { Secret, Sh, sh } from "../../sh";
import { GUARD_FAILED, IN_USE } from "../../host/plan";
import { MODE, OP, REQUEST } from "./protocol";

/**
 * Changes of tgtd: a list of orders, one a line, that one perl process carries out one after the other until one fails.
 * The list goes to it on standard input, secrets included. What a planner decided is in the list; the program itself
 * only looks up target ids by name, so that no number of an old observation can hit another target.
 */
export type Order =
    /** The target with that name, made with the lowest free id where it is not there. */
    | { readonly verb: "target"; readonly name: string }
    /** The target with that name; where there is none, requests on it are left out. */
    | { readonly verb: "use"; readonly name: string }
    /** tgtd listens there, on the address itself or on all. */
    | { readonly verb: "portal"; readonly portal: string }
    /** Ends the run with {@link IN_USE} if others than these initiators are logged in. */
    | { readonly verb: "only"; readonly initiators: readonly string[] }
    /** Ends the connections of these initiators, or of all when none is named, and waits until they are gone. */
    | { readonly verb: "cut"; readonly initiators: readonly string[] }
    /** Ends the plan unless tgtd has an account as the plan takes it to have. */
    | AccountGuard
    /** Removes an account unless a target has it bound or another boot file names it. */
    | { readonly verb: "drop"; readonly user: string; readonly directory: string; readonly self: string }
    /** Notes in a boot file that it was carried out. */
    | { readonly verb: "applied"; readonly file: string }
    | Request;

/**
 * What a plan takes for granted of an account, which every export of the daemon may share: that no other boot file gives
 * the user another secret, and
 *
 * - `keep`: tgtd has no such account, or a boot file of ours vouches for its secret;
 * - `bound`: the same, or it is bound to the export's own target, whose boot file is gone;
 * - `replace`: no other target has it bound, which would be left open without it.
 */
export interface AccountGuard {
    readonly verb: "account";
    readonly user: string;
    readonly fingerprint: string;
    readonly plan: "keep" | "bound" | "replace";
    readonly targetName: string;
    readonly directory: string;
    readonly self: string;
}

/** One request to tgtd. */
export interface Request {
    readonly verb: "request";
    /** What it does, for the error. */
    readonly label: string;
    readonly mode: keyof typeof MODE;
    readonly op: keyof typeof OP;
    readonly lun?: number;
    readonly outgoing?: boolean;
    readonly force?: boolean;
    /** Answers that are as good as success: it is so already. */
    readonly tolerate?: readonly number[];
    readonly params?: readonly (readonly [key: string, value: string | number | Secret])[];
}

// tgtd refuses to take a LUN away while a command is being carried out (20): that passes.
const PROGRAM = `${REQUEST}
my @said = ("", "unknown error", "out of memory", "no such driver", "no such target", "no such LUN", "no such session",
    "no such connection", "no such binding", "the target exists", "the LUN exists", "the binding exists",
    "the ACL entry exists", "no such ACL entry", "the user exists", "no such user", "too many users", "invalid request",
    "another outgoing account is bound", "the target is in use", "the LUN is in use", "the driver is in use",
    "unsupported operation", "unknown parameter", "the initiator prevents removal");
my ($tid, %tids, $show);
sub fail { my $status = shift; print STDERR @_, "\\n"; exit $status }
sub why { my ($error, $text) = @_; $error < 0 ? $text : $said[$error] // "error $error" }
sub ask {
    my ($what, @request) = @_;
    my ($error, $text) = request(@request);
    fail(1, "$what: tgtd (control port $control): ", why($error, $text)) if $error;
    return $text;
}
sub targets {
    $show = ask("list targets", 1, 2);
    %tids = ();
    my %seen;
    # What an initiator calls itself is in the list, too, and might look like a target.
    while ($show =~ /^Target (\\d+): (\\S+)$/mg) {
        fail(1, "tgtd lists a target twice: what an initiator calls itself looks like one") if $tids{$2} || $seen{$1}++;
        $tids{$2} = $1;
    }
}
sub sessions {
    my ($error, $text) = request(6, 2, { tid => $tid });
    return if $error == 4;
    fail(1, "list sessions: tgtd: ", why($error, $text)) if $error;
    my @found;
    push @found, [$1, $2, $3] while $text =~ /^Session: (\\d+)\\n +Connection: (\\d+)\\n +Initiator: (.*)\\n/mg;
    return @found;
}
sub bound {
    my $user = shift;
    my ($name, $section, @found) = ("", "");
    for ($show =~ /^ {8}\\Q$user\\E/m ? split(/\\n/, $show) : ()) {
        if (/^Target \\d+: (\\S+)$/) { $name = $1; $section = "" }
        elsif (/^ {4}(\\S.*):$/) { $section = $1 }
        elsif ($section eq "Account information" && /^ {8}\\Q$user\\E(?: \\(outgoing\\))?$/) { push @found, $name }
    }
    return @found;
}
# Boot files: of each its name and its comment lines.
sub headers {
    my $directory = shift;
    my $listing;
    unless (opendir($listing, $directory)) { return if $!{ENOENT}; fail(1, "$directory: $!") }
    my @found;
    for my $file (grep { !/^\\./ } readdir $listing) {
        open(my $in, "<", "$directory/$file") or next;
        my $header = "";
        while (<$in>) { last unless /^#/; $header .= $_ }
        push @found, [$file, $header];
    }
    return @found;
}
sub nap { select(undef, undef, undef, 0.02) }
my %do = (
    control => sub { $control = $_[0] },
    use => sub { targets(); $tid = $tids{$_[0]} },
    target => sub {
        my $name = $_[0];
        targets();
        my $try = 0;
        until (defined($tid = $tids{$name})) {
            my %used = reverse %tids;
            my $free = 1;
            $free++ while $used{$free};
            my ($error, $text) = request(1, 0, { tid => $free }, "targetname=$name");
            return $tid = $free unless $error;
            fail(1, "make target $name: tgtd: ", why($error, $text)) if $error != 9 || $try++ > 20;
            targets();
        }
    },
    portal => sub {
        my $portal = $_[0];
        my $any = $portal =~ s/^\\[.*\\]/[::]/r =~ s/^[0-9.]+:/0.0.0.0:/r;
        my $has = sub { ask("list portals", 3, 2) =~ /^Portal: (?:\\Q$portal\\E|\\Q$any\\E),/m };
        return if $has->();
        my ($error, $text) = request(3, 0, {}, "portal=$portal");
        fail(1, "tgtd cannot listen on $portal: the address is not on this host, or the port is taken")
            if $error || !$has->();
    },
    only => sub {
        return unless defined $tid;
        my %known = map { $_ => 1 } @_;
        for (sessions()) { fail(${String(IN_USE)}, "initiator $_->[2] is logged in") unless $known{$_->[2]} }
    },
    cut => sub {
        return unless defined $tid;
        my %named = map { $_ => 1 } @_;
        for (1 .. 250) {
            my @left = grep { !@_ || $named{$_->[2]} } sessions() or return;
            request(6, 1, { tid => $tid, sid => $_->[0], cid => $_->[1] }) for @left;
            nap();
        }
        fail(1, "sessions are still there 5 s after tgtd was told to end them");
    },
    drop => sub {
        my ($user, $directory, $self) = @_;
        targets();
        return if bound($user);
        for (headers($directory)) {
            my ($file, $header) = @$_;
            next if $file eq $self;
            return if $header =~ /^#bh accounts (.*)/m && grep { $_ eq $user } split / /, $1;
        }
        my ($error, $text) = request(7, 1, {}, "user=$user");
        fail(1, "remove account $user: tgtd: ", why($error, $text)) if $error && $error != 15;
    },
    account => sub {
        my ($user, $named, $fingerprint, $plan, $own, $directory, $self) = @_;
        my $vouched;
        for (headers($directory)) {
            my ($file, $header) = @$_;
            my ($declared) = $header =~ /^#bh declared (.*)/m or next;
            my ($other) = $declared =~ /"user":\\Q$named\\E,"fingerprint":"(\\w+)"/ or next;
            if ($other eq $fingerprint) {
                my ($uncertain) = $declared =~ /"uncertain":\\[([^\\]]*)\\]/;
                $vouched ||= $header =~ /^#bh applied [1c]$/m || index($uncertain // "", $named) < 0;
            } elsif ($file ne $self) {
                fail(${String(GUARD_FAILED)}, "export $file gives user $user another secret");
            }
        }
        targets();
        my @bound = bound($user);
        if ($plan eq "replace") {
            fail(${String(GUARD_FAILED)}, "account $user is also bound to $_") for grep { $_ ne $own } @bound;
        } elsif (!$vouched && !($plan eq "bound" && grep { $_ eq $own } @bound)) {
            fail(${String(GUARD_FAILED)}, "tgtd has an account $user with a secret that nobody vouches for")
                if ask("list accounts", 7, 2) =~ /^ {4}\\Q$user\\E$/m;
        }
    },
    applied => sub {
        my ($file, $text);
        open($file, "+<", $_[0]) && sysread($file, $text, 1 << 20) or fail(1, "$_[0]: $!");
        my $at = index($text, "\\n#bh applied 0\\n");
        # Of accounts that a change has left in doubt, or to be removed, only the orders that come first know: without
        # them, as at boot, it stays unfinished.
        return if $at < 0 || !@ARGV && $text =~ /^#bh declared .*"(?:uncertain|retired)":\\["/m;
        sysseek($file, $at + 13, 0) && syswrite($file, "1") or fail(1, "$_[0]: $!");
    },
    request => sub {
        my ($label, $mode, $op, $on, $lun, $dir, $force, $fine, $params) = @_;
        return if $on && !defined $tid;
        my %fine = map { $_ => 1 } 0, split(/,/, $fine);
        for my $try (1 .. 250) {
            my $r = { lun => $lun, dir => $dir, force => $force };
            $r->{tid} = $tid if $on;
            my ($error, $text) = request($mode, $op, $r, length $params ? $params : undef);
            return if $fine{$error};
            fail(1, "$label: tgtd: ", why($error, $text)) unless $error == 20 && $try < 250;
            nap();
        }
    },
);
my @lists = (*DATA);
if (@ARGV) { open(my $first, "<", $ARGV[0]) or fail(1, "$ARGV[0]: $!"); unshift @lists, $first }
for my $list (@lists) {
    while (<$list>) {
        chomp;
        my ($verb, @words) = map { s/%(..)/chr hex $1/ger } split / /, $_, -1;
        $do{$verb}->(@words);
    }
}
exit 0;
`;

/** Shown in place of the program wherever a script is displayed. */
const SHOWN_PROGRAM = "# (perl: carries out the orders below on the management socket of tgtd)";

/**
 * Shell text that carries out orders. As the body of a boot file it takes the name of a file with orders to be carried
 * out first as its argument.
 */
export function management(controlPort: number, orders: readonly Order[]): Sh {
    return sh`exec perl -w - "$@" <<'BLOCKHOST_TGT'
${new Sh(PROGRAM, SHOWN_PROGRAM)}
__END__
${orderList(controlPort, orders)}
BLOCKHOST_TGT`;
}

/** Orders as the program reads them. */
export function orderList(controlPort: number, orders: readonly Order[]): Sh {
    const lines = [line("control", String(controlPort)), ...orders.map(encode)];
    return new Sh(lines.map((l) => l.text).join("\n"), lines.map((l) => l.display).join("\n"));
}

function encode(order: Order): Sh {
    switch (order.verb) {
        case "target":
        case "use":
            return line(order.verb, order.name);
        case "portal":
            return line("portal", order.portal);
        case "only":
        case "cut":
            return line(order.verb, ...order.initiators);
        case "drop":
            return line("drop", order.user, order.directory, order.self);
        case "account": {
            const { user, fingerprint, plan, targetName, directory, self } = order;
            // As `declared` in a boot file has it.
            return line(
                "account",
                user,
                JSON.stringify(user),
                fingerprint,
                plan,
                targetName,
                directory,
                self,
            );
        }
        case "applied":
            return line("applied", order.file);
        case "request":
            return encodeRequest(order);
    }
}

function encodeRequest(order: Request): Sh {
    const onTarget = order.mode === "account" ? order.op === "bind" || order.op === "unbind" : true;
    return line(
        "request",
        order.label,
        String(MODE[order.mode]),
        String(OP[order.op]),
        onTarget ? "1" : "0",
        String(order.lun ?? 0),
        order.outgoing === true ? "1" : "0",
        order.force === true ? "1" : "0",
        (order.tolerate ?? []).join(","),
        params(order.params ?? []),
    );
}

/** `key=value,key=value` as tgtd splits it: a value with a comma could not be told from the next key. */
function params(pairs: readonly (readonly [string, string | number | Secret])[]): Sh {
    const parts = pairs.map(([key, value], i) => {
        const text = value instanceof Secret ? value.value : String(value);
        const last = i === pairs.length - 1;
        if (/[\0\n]/.test(text) || (text.includes(",") && !(last && value instanceof Secret))) {
            throw new TypeError(`tgtd cannot be given this ${key}`);
        }
        return new Sh(`${key}=${text}`, `${key}=${String(value)}`);
    });
    return new Sh(parts.map((p) => p.text).join(","), parts.map((p) => p.display).join(","));
}

/** Words with everything but plain characters as `%XX`, so that no value can end a word, a line or the list. */
function line(verb: string, ...words: readonly (string | Sh)[]): Sh {
    const texts = words.map((word) => (word instanceof Sh ? word.text : word));
    const displays = words.map((word) => (word instanceof Sh ? word.display : word));
    return new Sh([verb, ...texts.map(encodeWord)].join(" "), [verb, ...displays].join(" "));
}

function encodeWord(text: string): string {
    return [...Buffer.from(text, "utf8")]
        .map((byte) => {
            const char = String.fromCharCode(byte);
            return /[A-Za-z0-9_.,:;=@/+[\]-]/.test(char)
                ? char
                : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
        })
        .join("");
}
