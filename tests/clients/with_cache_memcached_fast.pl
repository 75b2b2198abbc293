# Perl's Cache::Memcached::Fast, in C, through its whole interface.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use MatrixTest;
use Cache::Memcached::Fast;

sub client { Cache::Memcached::Fast->new({servers => [$SERVERS[0]], connect_timeout => 2, io_timeout => 5, @_}) }
sub flags { [map { $_ ? 1 : 0 } @_] }
sub got { my ($c, @keys) = @_; [map { scalar $c->get($_) } @keys] } # a miss is an empty list elsewhere

check 'values round trip' => sub {
    my ($c, $key) = (client(), key_of());
    for my $value ('text', "bytes\r\n\0\xff", '', 42, -1.5, 'x' x 1000000) {
        yes($c->set($key, $value));
        equal($c->get($key), $value);
    }
};
check 'structures and unicode round trip' => sub {
    my ($c, $key) = (client(utf8 => 1), key_of());
    yes($c->set($key, {list => [1, {deep => 'v'}]}));
    equal($c->get($key), {list => [1, {deep => 'v'}]});
    yes($c->set($key, "gr\x{fc}\x{df}e \x{4e16}"));
    yes($c->get($key) eq "gr\x{fc}\x{df}e \x{4e16}");
};
check 'a miss is undef' => sub { equal([scalar client()->get(key_of()), scalar client()->gets(key_of())], [undef, undef]) };
check 'compressed values come back' => sub {
    my ($c, $key) = (client(compress_threshold => 1000, compress_ratio => 0.9), key_of());
    my $value = 'abc' x 300000;
    yes($c->set($key, $value));
    yes($c->get($key) eq $value);
    $c->enable_compress(0);
    yes($c->set($key, $value) && $c->get($key) eq $value);
};
check 'value over the limit is refused' => sub {
    my ($c, $key) = (client(max_size => 0), key_of());
    $c->set($key, 'old');
    yes(!$c->set($key, 'x' x ((1 << 20) + 1)));
    equal(scalar client()->get($key), undef);
    yes(client()->set($key, 'new'));
};
check 'add and replace ask first' => sub {
    my ($c, $key) = (client(), key_of());
    equal(flags($c->replace($key, 0), $c->add($key, 1), $c->add($key, 2), $c->replace($key, 3)), [0, 1, 0, 1]);
    equal($c->get($key), 3);
};
check 'append and prepend extend' => sub {
    my ($c, $key) = (client(), key_of());
    equal(flags($c->append($key, 'x'), $c->prepend($key, 'x')), [0, 0]);
    $c->set($key, 'b');
    equal(flags($c->append($key, 'c'), $c->prepend($key, 'a')), [1, 1]);
    equal($c->get($key), 'abc');
};
check 'cas stores once and tells changed from gone' => sub {
    my ($c, $key) = (client(), key_of());
    $c->set($key, 1);
    my ($cas, $value) = @{$c->gets($key)};
    equal($value, 1);
    equal(flags($c->cas($key, $cas, 2), $c->cas($key, $cas, 3), $c->cas(key_of(), $cas, 3)), [1, 0, 0]);
    equal($c->get($key), 2);
};
check 'counters count and stop at nought' => sub {
    my ($c, $key) = (client(), key_of());
    yes(!$c->incr($key) && !$c->decr($key));
    $c->set($key, 10);
    equal([map { $_ + 0 } $c->incr($key), $c->incr($key, 9), $c->decr($key), $c->decr($key, 100)], [11, 20, 19, 0]);
};
check 'counter wraps at two to the 64' => sub {
    my ($c, $key) = (client(), key_of());
    $c->set($key, '18446744073709551615');
    equal($c->incr($key) + 0, 0);
};
check 'counter of text is refused' => sub {
    my ($c, $key) = (client(), key_of());
    $c->set($key, 'text');
    yes(!$c->incr($key));
    equal($c->get($key), 'text');
};
check 'every multi operation' => sub {
    my $c = client();
    my ($one, $two) = sort(keys_of(2, 'pair'));
    equal(flags($c->replace_multi([$one, 0], [$two, 0])), [0, 0]);
    equal(flags($c->add_multi([$one, 1], [$two, 2])), [1, 1]);
    equal(flags($c->set_multi([$one, 5], [$two, 6, 100])), [1, 1]);
    equal({%{$c->get_multi($one, $two, key_of())}}, {$one => 5, $two => 6});
    equal([map { $_ + 0 } @{$c->incr_multi([$one, 2], $two)}{$one, $two}], [7, 7]);
    equal([map { $_ + 0 } @{$c->decr_multi([$one, 2], $two)}{$one, $two}], [5, 6]);
    yes($c->append_multi([$one, 'a'], [$two, 'b']) && $c->prepend_multi([$one, 'x'], [$two, 'y']));
    my $tokens = $c->gets_multi($one, $two);
    equal([map { $tokens->{$_}[1] } $one, $two], ['x5a', 'y6b']);
    equal(flags($c->cas_multi([$one, $tokens->{$one}[0], 'n'], [$two, $tokens->{$two}[0] + 1, 'n'])), [1, 0]);
    equal(flags($c->touch_multi([$one, 100], [$two])), [1, 1]);
    equal({%{$c->gat_multi(100, $one, $two)}}, {$one => 'n', $two => 'y6b'});
    equal(scalar keys %{$c->gats_multi(100, $one, $two)}, 2);
    equal(flags($c->delete_multi($one, $two)), [1, 1]);
};
check 'a thousand keys at once' => sub {
    my $c = client();
    my %values = map { $_ => "value of $_" } keys_of(1000, 'm');
    $c->set_multi(map { [$_, $values{$_}] } keys %values);
    equal({%{$c->get_multi(keys %values)}}, \%values);
};
check 'expiry, touch, gat and gats' => sub {
    my ($c, $short, @kept) = (client(), keys_of(4));
    $c->set($_, 'v', BRIEF_S) for $short, @kept;
    equal(flags($c->touch($kept[0], 100), $c->touch(key_of(), 100)), [1, 0]);
    equal([$c->gat(100, $kept[1]), $c->gats(100, $kept[2])->[1], scalar $c->gat(100, key_of())], ['v', 'v', undef]);
    select undef, undef, undef, UNTIL_GONE_S;
    equal(got($c, $short, @kept), [undef, 'v', 'v', 'v']);
};
check 'negative and absolute expiry' => sub {
    my ($c, $past, $far) = (client(), keys_of(2));
    yes($c->set($past, 'v', -1) && $c->set($far, 'v', time + 40 * 86400));
    equal(got($c, $past, $far), [undef, 'v']);
};
check 'delete tells' => sub {
    my ($c, $key) = (client(), key_of());
    $c->set($key, 'v');
    equal(flags($c->delete($key), $c->delete($key)), [1, 0]);
};
check 'namespace keeps keys apart' => sub {
    my ($c, $key) = (client(namespace => 'ns:'), key_of());
    $c->set($key, 'v');
    equal(got(client(), $key, "ns:$key"), [undef, 'v']);
    equal($c->namespace('other:'), 'ns:');
    equal(scalar $c->get($key), undef);
};
check 'nowait writes arrive' => sub {
    my ($c, @keys) = (client(nowait => 1), keys_of(500));
    $c->set($_, $_) for @keys;
    $c->incr($_) for key_of();
    $c->delete($keys[0]);
    $c->nowait_push;
    equal(scalar keys %{client()->get_multi(@keys)}, 499);
};
check 'ketama over three weighted servers' => sub {
    my $make = sub { client(servers => [map { {address => $_, weight => 1} } @SERVERS], ketama_points => 150) };
    my ($one, $other, @keys) = ($make->(), $make->(), keys_of(150, 'several'));
    $one->set($_, $_) for @keys;
    equal(scalar keys %{$other->get_multi(@keys)}, 150);
    my @counts = map { held($_, @keys) } @SERVERS;
    equal($counts[0] + $counts[1] + $counts[2], 150);
    yes($_) for @counts;
};
check 'dead server fails alone' => sub {
    my $c = client(servers => [$SERVERS[0], $DEAD], max_failures => 1, failure_timeout => 60, ketama_points => 150);
    my @keys = keys_of(60);
    my $stored = grep { $c->set($_, 'v') } @keys;
    yes($stored > 5 && $stored < 60);
    equal(scalar keys %{$c->get_multi(@keys)}, $stored);
};
check 'unix socket serves' => sub {
    my ($c, $key) = (client(servers => [$PATH]), key_of());
    yes($c->set($key, 'v'));
    equal($c->get($key), 'v');
};
check 'server versions are memcached ones' => sub {
    my $versions = client(servers => [@SERVERS])->server_versions;
    equal(scalar keys %$versions, 3);
    yes(/^1\.6\./) for values %$versions;
};
check 'reconnects after disconnect_all' => sub {
    my ($c, $key) = (client(), key_of());
    $c->set($key, 'v');
    $c->disconnect_all;
    equal($c->get($key), 'v');
};
check 'flush_all with a delay then at once' => sub {
    my ($c, $key) = (client(), key_of());
    $c->set($key, 'v');
    yes($c->flush_all(100));
    equal($c->get($key), 'v');
    yes($c->flush_all);
    equal(scalar $c->get($key), undef);
    yes($c->set($key, 'new'));
};
