/* What can be done to a running cache. Nothing here is one slip away: what destroys must be typed. */

import { useState } from 'preact/hooks';
import { ApiError, apiPath, explain, request } from '../lib/api';
import * as format from '../lib/format';
import { usePoll } from '../lib/poll';
import type { Setting } from '../lib/types';
import { announce } from '../ui/announce';
import { CurlButton } from '../ui/curl';
import { ConfirmDialog } from '../ui/dialog';
import { Notice } from '../ui/notice';
import { FixedSettings, SettingsForm, type SettingsAnswer } from './settings-form';

const FLUSH = { confirm: 'flush_all', delay_seconds: 0 };

function FlushAction() {
  const [asking, setAsking] = useState(false);
  const [outcome, setOutcome] = useState('');
  const flush = async () => {
    const answer = await request<{ flushed_items: number }>('POST', apiPath('/flush'), FLUSH);
    const text = `Flushed: ${format.plural(answer.flushed_items, 'item')} gone.`;
    setOutcome(text);
    announce(text);
  };
  return (
    <section class="exhibit action" aria-labelledby="flush">
      <h2 id="flush">Flush the cache</h2>
      <p>Every item is gone at once, as flush_all does it. Clients will miss until they have filled the cache again.</p>
      <div class="buttons">
        <button type="button" class="danger" onClick={() => setAsking(true)}>
          Flush…
        </button>
        <CurlButton method="POST" path={apiPath('/flush')} body={FLUSH} />
        <span role="status" class="caption">
          {outcome}
        </span>
      </div>
      {asking && (
        <ConfirmDialog title="Flush the whole cache?" action="Flush" typed="flush_all" onConfirm={flush} onClose={() => setAsking(false)}>
          <p>All items are removed. This cannot be undone, and whatever stands behind the cache will feel it.</p>
        </ConfirmDialog>
      )}
    </section>
  );
}

function ResetAction() {
  const [outcome, setOutcome] = useState('');
  const reset = async () => {
    try {
      await request('POST', apiPath('/stats/reset'), {});
      setOutcome('Statistics start again from now.');
      announce('Statistics reset');
    } catch (error) {
      setOutcome(explain(error));
    }
  };
  return (
    <section class="exhibit action" aria-labelledby="reset">
      <h2 id="reset">Reset statistics</h2>
      <p>The counters of stats start from zero, as stats reset does it. Items stay; Prometheus counters do not go back.</p>
      <div class="buttons">
        <button type="button" onClick={reset}>
          Reset statistics
        </button>
        <CurlButton method="POST" path={apiPath('/stats/reset')} body={{}} />
        <span role="status" class="caption">
          {outcome}
        </span>
      </div>
    </section>
  );
}

function useSettings() {
  const [settings, setSettings] = useState<Setting[] | null>(null);
  const [failure, setFailure] = useState('');
  usePoll(async () => {
    try {
      const answer = await request<SettingsAnswer>('GET', apiPath('/settings'));
      setSettings(answer.settings);
      setFailure('');
    } catch (error) {
      if (error instanceof ApiError) setFailure(explain(error));
    }
  }, [], 2000);
  return { settings, failure, take: (answer: SettingsAnswer) => setSettings(answer.settings) };
}

export function Actions() {
  const { settings, failure, take } = useSettings();
  return (
    <>
      <div class="page-head">
        <h1 tabIndex={-1}>Actions</h1>
      </div>
      <div class="actions">
        <FlushAction />
        <ResetAction />
        <section class="exhibit action settings" aria-labelledby="settings">
          <h2 id="settings">Settings</h2>
          {failure && <Notice>{failure}</Notice>}
          {!settings && !failure && <p class="caption">Asking the server…</p>}
          {settings && <SettingsForm settings={settings.filter((s) => s.runtime)} onSaved={take} />}
          {settings && <FixedSettings settings={settings.filter((s) => !s.runtime)} />}
        </section>
      </div>
    </>
  );
}
