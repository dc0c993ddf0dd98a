// The list of commands: names and one line each, the code behind a dynamic import.
import type { Command } from './command.ts';

/** A command before it is loaded. The summary is repeated here so that the list of commands loads nothing. */
export interface CommandEntry {
  readonly name: string;
  readonly group: 'Run' | 'Look' | 'Change' | 'Kubernetes' | 'Try out' | 'Shell';
  readonly summary: string;
  load(): Promise<Command>;
}

/** In the order in which `morphling --help` shows them. A test holds names and summaries equal to the commands' own. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'agent',
    group: 'Run',
    summary: 'Run the sidecar agent before a model server.',
    load: async () => (await import('./agent.ts')).createAgentCommand(),
  },
  {
    name: 'check',
    group: 'Look',
    summary: 'Check that everything the agent needs is there and works.',
    load: async () => (await import('./check.ts')).checkCommand,
  },
  {
    name: 'status',
    group: 'Look',
    summary: 'Show what the agent measures and which settings are in force.',
    load: async () => (await import('./status.ts')).statusCommand,
  },
  {
    name: 'top',
    group: 'Look',
    summary: 'Watch rates, latencies, batches and settings live.',
    load: async () => (await import('./top.ts')).topCommand,
  },
  {
    name: 'settings',
    group: 'Look',
    summary: 'Show the settings in force for every model.',
    load: async () => (await import('./settings.ts')).settingsCommand,
  },
  {
    name: 'history',
    group: 'Look',
    summary: 'List the changes of settings and what became of them.',
    load: async () => (await import('./history.ts')).historyCommand,
  },
  {
    name: 'explain',
    group: 'Look',
    summary: 'Say why the last decisions were made, with the measurements behind them.',
    load: async () => (await import('./explain.ts')).explainCommand,
  },
  {
    name: 'apply',
    group: 'Change',
    summary: 'Change the settings of a model, through a trial unless told otherwise.',
    load: async () => (await import('./apply.ts')).applyCommand,
  },
  {
    name: 'rollback',
    group: 'Change',
    summary: 'Go back to the last settings that were good.',
    load: async () => (await import('./rollback.ts')).rollbackCommand,
  },
  {
    name: 'pause',
    group: 'Change',
    summary: 'Stop changing settings; traffic goes on under those in force.',
    load: async () => (await import('./pause.ts')).pauseCommand,
  },
  {
    name: 'resume',
    group: 'Change',
    summary: 'Let the agent change settings again.',
    load: async () => (await import('./pause.ts')).resumeCommand,
  },
  {
    name: 'bypass',
    group: 'Change',
    summary: 'Send requests straight through, without batching, trials and limits.',
    load: async () => (await import('./bypass.ts')).bypassCommand,
  },
  {
    name: 'inject',
    group: 'Kubernetes',
    summary: 'Put the agent into the pods of manifests, YAML or JSON, and send their Services to it.',
    load: async () => (await import('./inject.ts')).injectCommand,
  },
  {
    name: 'uninject',
    group: 'Kubernetes',
    summary: 'Take the agent out of manifests again, and send their Services back to the model.',
    load: async () => (await import('./uninject.ts')).uninjectCommand,
  },
  {
    name: 'demo',
    group: 'Try out',
    summary: 'See the whole thing work on a modelled GPU server under real arrivals.',
    load: async () => (await import('./demo.ts')).demoCommand,
  },
  {
    name: 'emulate',
    group: 'Try out',
    summary: 'Run a model server whose service time follows a measured latency profile.',
    load: async () => (await import('./emulate.ts')).emulateCommand,
  },
  {
    name: 'simulate',
    group: 'Try out',
    summary: 'Run the agent in virtual time against a modelled GPU; the same arguments give the same bytes.',
    load: async () => (await import('./simulate.ts')).simulateCommand,
  },
  {
    name: 'completion',
    group: 'Shell',
    summary: 'Print a completion script for bash, zsh or fish.',
    load: async () => (await import('./completion.ts')).completionCommand,
  },
  {
    name: 'version',
    group: 'Shell',
    summary: 'Print the version, and that of the agent if one answers.',
    load: async () => (await import('./version.ts')).versionCommand,
  },
];
