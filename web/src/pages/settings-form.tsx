/* Settings: those that may change while the cache runs have a field, the others are told. */

import { useState } from 'preact/hooks';
import { ApiError, apiPath, explain, request } from '../lib/api';
import type { Setting } from '../lib/types';
import { announce } from '../ui/announce';
import { CurlButton } from '../ui/curl';
import { Notice } from '../ui/notice';
import { Term } from '../ui/term';

export interface SettingsAnswer {
  settings: Setting[];
}

interface FieldProps {
  setting: Setting;
  draft: string | undefined;
  failure: string | undefined;
  onInput: (value: string) => void;
}

function isSwitch({ value }: Setting): boolean {
  return value === 'yes' || value === 'no';
}

function SettingField({ setting, draft, failure, onInput }: FieldProps) {
  const id = `setting-${setting.name}`;
  const common = { id, value: draft ?? setting.value, 'aria-describedby': `${id}-help` };
  return (
    <div class="setting">
      <label for={id}>
        {setting.name}
        {setting.letter && <span class="caption"> -{setting.letter}</span>}
      </label>
      <span class="with-unit">
        {isSwitch(setting) ? (
          <select {...common} onChange={(event) => onInput(event.currentTarget.value)}>
            <option>yes</option>
            <option>no</option>
          </select>
        ) : (
          <input
            {...common}
            type="text"
            autocomplete="off"
            spellcheck={false}
            aria-invalid={failure ? 'true' : undefined}
            onInput={(event) => onInput(event.currentTarget.value)}
          />
        )}
        {setting.unit}
      </span>
      <p id={`${id}-help`} class="caption">
        {setting.help}. Default: {setting.default || 'none'}.
      </p>
      {failure && <Notice>{failure}</Notice>}
    </div>
  );
}

export function SettingsForm({ settings, onSaved }: { settings: Setting[]; onSaved: (answer: SettingsAnswer) => void }) {
  const [drafts, setDrafts] = useState<Record<string, string>>({});
  const [failures, setFailures] = useState<Record<string, string>>({});
  const [outcome, setOutcome] = useState('');
  const changes = Object.fromEntries(
    settings.filter((s) => drafts[s.name] !== undefined && drafts[s.name] !== s.value).map((s) => [s.name, drafts[s.name]!]),
  );
  const changed = Object.keys(changes).length > 0;

  const save = async (event: Event) => {
    event.preventDefault();
    if (!changed) return;
    setFailures({});
    setOutcome('');
    try {
      onSaved(await request<SettingsAnswer>('PATCH', apiPath('/settings'), changes));
      setDrafts({});
      setOutcome('Settings changed.');
      announce('Settings changed');
    } catch (error) {
      const fields = error instanceof ApiError ? (error.problem.errors ?? []) : [];
      const known = fields.filter(({ field }) => settings.some((s) => s.name === field));
      setFailures(Object.fromEntries(known.map(({ field, detail }) => [field, detail])));
      setOutcome(known.length > 0 ? 'Nothing was changed: see above.' : explain(error));
    }
  };

  return (
    <form onSubmit={save} aria-label="Runtime settings">
      {settings.map((setting) => (
        <SettingField
          key={setting.name}
          setting={setting}
          draft={drafts[setting.name]}
          failure={failures[setting.name]}
          onInput={(value) => setDrafts((old) => ({ ...old, [setting.name]: value }))}
        />
      ))}
      <div class="buttons">
        <button type="submit" class="primary" disabled={!changed}>
          Change settings
        </button>
        <button type="button" disabled={!changed} onClick={() => setDrafts({})}>
          Undo
        </button>
        <CurlButton method="PATCH" path={apiPath('/settings')} body={changes} />
        <span role="status" class="caption">
          {outcome}
        </span>
      </div>
    </form>
  );
}

export function FixedSettings({ settings }: { settings: Setting[] }) {
  return (
    <details>
      <summary>Settings that need a restart ({settings.length})</summary>
      <div class="scroll" tabIndex={0} role="region" aria-label="Settings that need a restart">
        <table>
          <thead>
            <tr>
              <th scope="col">Setting</th>
              <th scope="col">Value</th>
              <th scope="col">Default</th>
            </tr>
          </thead>
          <tbody>
            {settings.map((setting) => (
              <tr key={setting.name}>
                <th scope="row">
                  <Term name={setting.name}>{setting.help || setting.name}</Term>
                  {setting.letter && <span class="caption"> -{setting.letter}</span>}
                </th>
                <td>
                  {setting.value || '–'} {setting.unit}
                </td>
                <td>{setting.default || '–'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
