# What the Perl programs of the matrix share: the servers, unique keys, and a line a check.
package MatrixTest;
use strict;
use warnings;
use Exporter 'import';
use IO::Socket::INET;
our @EXPORT = qw(@SERVERS $DEAD $PATH BRIEF_S UNTIL_GONE_S key_of keys_of equal yes held check);

our @SERVERS = split /,/, $ENV{MATRIX_SERVERS};
our ($DEAD, $PATH) = @ENV{qw(MATRIX_DEAD MATRIX_PATH)};
use constant {BRIEF_S => 3, UNTIL_GONE_S => 4.1}; # as in harness.py
my $count = 0;
$| = 1;

sub key_of { ($_[0] // 'key') . '-' . $count++ }
sub keys_of { my ($number, $word) = @_; map { key_of($word) } 1 .. $number }

sub show {
    my ($value) = @_;
    return 'undef' unless defined $value;
    return '[' . join(', ', map { show($_) } @$value) . ']' if ref $value eq 'ARRAY';
    return '{' . join(', ', map { "$_: " . show($value->{$_}) } sort keys %$value) . '}' if ref $value eq 'HASH';
    return "$value";
}

sub equal {
    my ($got, $wanted) = @_;
    my ($left, $right) = (show($got), show($wanted));
    die 'got ' . substr($left, 0, 150) . ', wanted ' . substr($right, 0, 150) . ' in line ' . (caller)[2] . "\n" if $left ne $right;
}

sub yes { die 'got ' . show($_[0]) . ' in line ' . (caller)[2] . "\n" unless $_[0] }

# How many of the keys one server holds.
sub held {
    my ($address, @keys) = @_;
    my $server = IO::Socket::INET->new(PeerAddr => $address, Timeout => 5) or die "$address: $!";
    print $server "get @keys\r\n";
    my $found = 0;
    while (defined(my $line = <$server>)) {
        last if $line eq "END\r\n";
        $found++ if $line =~ /^VALUE /;
    }
    return $found;
}

sub check {
    my ($name, $code) = @_;
    if (eval { $code->(); 1 }) {
        print "ok $name\n";
    } else {
        my $why = $@ =~ s/\s+/ /gr;
        print "FAIL $name: $why\n";
    }
}

1;
