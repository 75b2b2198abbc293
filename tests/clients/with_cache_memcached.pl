# Perl's Cache::Memcached, through its whole interface.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use MatrixTest;
use Cache::Memcached;

sub client { Cache::Memcached->new({servers => [$SERVERS[0]], connect_timeout => 2, select_timeout => 5, @_}) }

check 'values round trip' => sub {
    my ($c, $key) = (client(), key_of());
    for my $value ('text', "bytes\r\n\0\xff", '', 42, -1.5, 'x' x 100000) {
        yes($c->set($key, $value));
        equal($c->get($key), $value);
    }
};
check 'structures round trip' => sub {
    my ($c, $key) = (client(), key_of());
    yes($c->set($key, {list => [1, 2, {deep => 'v'}]}));
    equal($c->get($key), {list => [1, 2, {deep => 'v'}]});
};
check 'a miss is undef' => sub { equal(client()->get(key_of()), undef) };
check 'compressed values come back' => sub {
    my ($c, $key) = (client(compress_threshold => 1000), key_of());
    my $value = 'abc' x 300000;
    yes($c->set($key, $value));
    yes($c->get($key) eq $value);
    $c->enable_compress(0);
    $c->set_compress_threshold(10);
    yes($c->set($key, $value));
    yes($c->get($key) eq $value);
};
check 'value over the limit is refused' => sub {
    my ($c, $key) = (client(), key_of());
    $c->set($key, 'old');
    yes(!$c->set($key, 'x' x ((1 << 20) + 1)));
    my $fresh = client();
    equal($fresh->get($key), undef);
    yes($fresh->set($key, 'new'));
};
check 'add and replace ask first' => sub {
    my ($c, $key) = (client(), key_of());
    equal([map { $_ ? 1 : 0 } $c->replace($key, 0), $c->add($key, 1), $c->add($key, 2), $c->replace($key, 3)], [0, 1, 0, 1]);
    equal($c->get($key), 3);
};
check 'append and prepend extend' => sub {
    my ($c, $key) = (client(), key_of());
    yes(!$c->append($key, 'x'));
    $c->set($key, 'b');
    yes($c->append($key, 'c') && $c->prepend($key, 'a'));
    equal($c->get($key), 'abc');
};
check 'counters count and stop at nought' => sub {
    my ($c, $key) = (client(), key_of());
    yes(!defined $c->incr($key) || !$c->incr($key));
    $c->set($key, 10);
    equal([$c->incr($key), $c->incr($key, 9), $c->decr($key), $c->decr($key, 100) + 0], [11, 20, 19, 0]);
};
check 'counter wraps at two to the 64' => sub {
    my ($c, $key) = (client(), key_of());
    $c->set($key, '18446744073709551615');
    equal($c->incr($key) + 0, 0);
};
check 'many keys at once' => sub {
    my $c = client();
    my %values = map { $_ => "value of $_" } keys_of(300, 'm');
    yes($c->set($_, $values{$_})) for keys %values;
    equal($c->get_multi(keys %values, key_of()), \%values);
};
check 'expiry to the second and absolute' => sub {
    my ($c, $short, $kept, $far) = (client(), keys_of(3));
    $c->set($short, 'v', 1);
    $c->set($kept, 'v', 100);
    $c->set($far, 'v', time + 40 * 86400);
    select undef, undef, undef, 2.1;
    equal([$c->get($short), $c->get($kept), $c->get($far)], [undef, 'v', 'v']);
};
check 'delete tells, by three names' => sub {
    my ($c, $key) = (client(), key_of());
    $c->set($key, 'v');
    equal([$c->delete($key) ? 1 : 0, $c->delete($key) ? 1 : 0], [1, 0]);
    $c->set($key, 'v');
    yes($c->remove($key));
};
check 'namespace keeps keys apart' => sub {
    my ($c, $key) = (client(namespace => 'ns:'), key_of());
    $c->set($key, 'v');
    equal([client()->get($key), client()->get("ns:$key"), $c->get_multi($key)], [undef, 'v', {$key => 'v'}]);
};
check 'key with a hash value of its own' => sub {
    my ($c, $key) = (client(servers => [@SERVERS]), key_of());
    yes($c->set([7, $key], 'v'));
    equal($c->get([7, $key]), 'v');
};
check 'three servers with weights share the keys' => sub {
    my $c = client(servers => [$SERVERS[0], [$SERVERS[1], 2], $SERVERS[2]]);
    my @keys = keys_of(120, 'several');
    yes($c->set($_, 'v')) for @keys;
    my @counts = map { held($_, @keys) } @SERVERS;
    equal($counts[0] + $counts[1] + $counts[2], 120);
    yes($_) for @counts;
    equal(scalar keys %{$c->get_multi(@keys)}, 120);
};
check 'dead server is left out' => sub {
    my $c = client(servers => [$SERVERS[0], $DEAD]);
    my @keys = keys_of(40);
    $c->set($_, 'v') for @keys, @keys;
    equal(scalar keys %{$c->get_multi(@keys)}, 40);
};
check 'without rehash a dead server is a miss' => sub {
    my $c = client(servers => [$DEAD], no_rehash => 1);
    yes(!$c->set(key_of(), 'v'));
    $c->set_servers([$SERVERS[0]]);
    yes($c->set(key_of(), 'v'));
};
check 'readonly client does not write' => sub {
    my ($c, $key) = (client(readonly => 1), key_of());
    yes(!$c->set($key, 'v'));
    $c->set_readonly(0);
    yes($c->set($key, 'v'));
};
check 'unix socket serves' => sub {
    my ($c, $key) = (client(servers => [$PATH]), key_of());
    yes($c->set($key, 'v'));
    equal($c->get($key), 'v');
};
check 'stats of every group' => sub {
    my $c = client();
    $c->set(key_of(), 'v');
    my $stats = $c->stats(['misc', 'items', 'slabs', 'malloc', 'sizes', 'self']);
    yes($stats->{hosts}{$SERVERS[0]}{misc}{curr_items} >= 1);
    yes($stats->{total}{cmd_set} >= 1);
    yes($stats->{hosts}{$SERVERS[0]}{items} =~ /STAT items:/);
    yes($c->stats_reset);
};
check 'reconnects after disconnect_all' => sub {
    my ($c, $key) = (client(), key_of());
    $c->set($key, 'v');
    $c->disconnect_all;
    equal($c->get($key), 'v');
};
check 'flush_all empties' => sub {
    my ($c, $key) = (client(), key_of());
    $c->set($key, 'v');
    yes($c->flush_all);
    equal($c->get($key), undef);
    yes($c->set($key, 'new'));
    equal($c->get($key), 'new');
};
