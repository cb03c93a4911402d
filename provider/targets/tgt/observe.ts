import { raw, type Sh, sh } from "../../sh";
import { bootDirectory } from "../boot";
import { bootUnitFiles, UNIT_HEADER } from "../bootUnit";
import { normalizePortal, parsePortal } from "../portal";
import type { TargetRef } from "../types";
import type { TgtOptions } from "./options";
import { REQUEST } from "./protocol";

/**
 * One perl process reads all there is to know, however many exports there are. Each line of its output starts with a
 * letter that says what it is; it never reads past the comment lines of a boot file, where no secret is.
 *
 *     B name            a boot file; its `#bh` lines follow as `H …` (of exports not asked for: only `#bh target`)
 *     I pid             tgtd answers; its process
 *     X why             it does not
 *     T, A, P …         a line of its list of targets, accounts, portals
 *     D state size path a declared device: `open` by tgtd, `stale` (another file is at the path now), `gone`
 *     L 4|6 address port pid command   somebody else listens on a wanted port
 *     W line            of the kernel's tables of the host's own addresses, where sockets cannot listen on others
 *     U installed|missing   the unit that runs boot files; absent where systemd does not run the host
 *     Z                 that was all
 */
const PROGRAM = raw(`${REQUEST}
my (%want, @ports, $directory, $unit, $enabled, @others);
while (<DATA>) {
    chomp;
    my ($key, $value) = split / /, $_, 2;
    if ($key eq "control") { $control = $value }
    elsif ($key eq "directory") { $directory = $value }
    elsif ($key eq "port") { push @ports, $value }
    elsif ($key eq "only") { $want{$value} = 1 }
    elsif ($key eq "unit") { $unit = $value }
    elsif ($key eq "enabled") { $enabled = $value }
    elsif ($key eq "beside") { push @others, $value }
}
my $all = !%want;
my (%ours, %device);
if (opendir(my $listing, $directory)) {
    for my $name (sort grep { !/^\\./ } readdir $listing) {
        my $file;
        unless (open($file, "<", "$directory/$name")) { print "E $name $!\\n"; next }
        next unless -s $file;
        my $wanted = $all || $want{$name};
        print "B $name\\n";
        while (<$file>) {
            last unless /^#/;
            next unless /^#bh (\\S+) (.*)$/;
            print "H $_" if $wanted || $1 eq "target";
            $ours{$2} = $wanted if $1 eq "target";
            if ($1 eq "declared" && $wanted && $2 =~ /"devicePath":"((?:[^"\\\\]|\\\\.)*)"/) {
                $device{$1 =~ s/\\\\(.)/$1/gr} = 1;
            }
        }
    }
} elsif (!$!{ENOENT}) { print "F $!\\n" }

my ($error, $text) = request(1, 2);
if ($error) { print "X $error $text\\n" }
else {
    print "I $pid\\n";
    # Of our own targets that were not asked for, only what may concern others: names and accounts.
    my ($brief, $section) = (0, "");
    for (split /\\n/, $text) {
        if (/^Target \\d+: (\\S+)$/) { $brief = exists $ours{$1} && !$ours{$1}; $section = "" }
        elsif (/^ {4}(\\S.*):$/) { $section = $1 }
        print "T $_\\n" unless $brief && $section ne "" && $section ne "Account information";
    }
    for (["A", 7], ["P", 3]) {
        my ($letter, $mode) = @$_;
        my ($error, $text) = request($mode, 2);
        print "X $error $text\\n" if $error;
        print map { "$letter $_\\n" } split /\\n/, $text unless $error;
    }
}

# Which files and sockets tgtd has open tells whether a path still leads to what it serves.
my (%open, %socket, $seen);
sub identity { my @s = stat $_[0] or return; (($s[2] & 0170000) == 0060000) ? "b$s[6]" : "f$s[0]:$s[1]" }
if ($pid && opendir(my $fds, "/proc/$pid/fd")) {
    $seen = 1;
    for my $fd (grep { /^\\d/ } readdir $fds) {
        my $link = readlink("/proc/$pid/fd/$fd") // next;
        if ($link =~ /^socket:\\[(\\d+)\\]/) { $socket{$1} = 1 }
        elsif ($link =~ m{^/} && defined(my $id = identity("/proc/$pid/fd/$fd"))) { $open{$id} = 1 }
    }
}
for my $path (sort keys %device) {
    my $id = identity($path);
    my $size = -1;
    if (defined $id && open(my $file, "<", $path)) { $size = sysseek($file, 0, 2) + 0 }
    my $state = !defined $id ? "gone" : !$seen || $open{$id} ? "open" : "stale";
    print "D $state $size $path\\n";
}

my %port = map { $_ => 1 } @ports;
my %taken;
for my $family (4, 6) {
    open(my $table, "<", $family == 4 ? "/proc/net/tcp" : "/proc/net/tcp6") or next;
    while (<$table>) {
        my ($address, $port, $state, $inode) = /^ *\\d+: (\\w+):(\\w+) \\S+ (\\w\\w) \\S+ \\S+ \\S+ +\\S+ +\\S+ (\\d+)/ or next;
        next unless $state eq "0A" && $port{hex $port} && !$socket{$inode};
        $taken{$inode} = "$family $address " . hex $port;
    }
}
if (%taken) {
    my %owner;
    for my $process (grep { m{^/proc/\\d+$} } map { "/proc/$_" } do { opendir(my $d, "/proc"); readdir $d }) {
        opendir(my $fds, "$process/fd") or next;
        for (readdir $fds) {
            my ($inode) = (readlink("$process/fd/$_") // "") =~ /^socket:\\[(\\d+)\\]/ or next;
            $owner{$inode} //= $process if $taken{$inode};
        }
    }
    for my $inode (sort keys %taken) {
        my $process = $owner{$inode} // "";
        my $command = "";
        if ($process && open(my $file, "<", "$process/comm")) { chomp($command = <$file> // "") }
        print "L $taken{$inode} ", $process =~ s{/proc/}{}r || "-", " $command\\n";
    }
}

# On a host that takes over addresses of another, sockets may listen on what is not there yet.
my $in;
my $nonlocal = grep { open($in, "<", "/proc/sys/net/$_/ip_nonlocal_bind") && <$in> =~ /^1/ } "ipv4", "ipv6";
unless ($nonlocal) {
    for my $table ("fib_trie", "if_inet6") {
        open($in, "<", "/proc/net/$table") or next;
        while (<$in>) { print "W $_" if $table eq "if_inet6" || m{\\|-- |/32 host LOCAL} }
    }
}

if (-d "/run/systemd/system" && $> == 0) {
    my $header = "";
    if (open(my $file, "<", $unit)) { chomp($header = <$file> // "") }
    my $whole = $header eq "${UNIT_HEADER}" && -l $enabled && !grep { !-e } @others;
    print "U ", $whole ? "installed" : "missing", "\\n";
}
print "Z\\n";
`);

export function observe(target: TargetRef<TgtOptions>, only?: readonly string[]): Sh {
    const directory = bootDirectory(target.stateDirectory, target.protocol);
    const ports = target.portals.map((portal) => parsePortal(normalizePortal(portal))?.port);
    const unit = bootUnitFiles(target.stateDirectory);
    const words = [
        `control ${String(target.options.controlPort)}`,
        `directory ${directory}`,
        ...[...new Set(ports)].flatMap((port) => (port === undefined ? [] : [`port ${String(port)}`])),
        `unit ${unit.file}`,
        `enabled ${unit.link}`,
        ...unit.others.map((file) => `beside ${file}`),
        ...(only ?? []).map((name) => `only ${name}`),
    ];
    if (words.some((word) => word.includes("\n"))) throw new TypeError("a line holds one word");
    return sh`command -v perl >/dev/null || { echo 'N perl'; exit 0; }
perl -w - <<'BLOCKHOST_TGT'
${PROGRAM}
__END__
${raw(words.join("\n"))}
BLOCKHOST_TGT`;
}
