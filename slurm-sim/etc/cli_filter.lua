-- Read if slurm.conf has CliFilterPlugins=cli_filter/lua, as in a mini-cluster that tests share. Each test has its own
-- partition. This selects it for commands that name the default one, and for the test's jobs that lost its environment.
-- https://slurm.schedmd.com/cli_filter_plugins.html
function slurm_cli_pre_submit(options, pack_offset)
  local own = os.getenv("SLURM_SIM_PARTITION") or os.getenv("SLURM_JOB_PARTITION") or ""
  local named = options["partition"]
  if own:find("^pytest%-") and (named == nil or named == "general") then
    options["partition"] = own
  end
  return slurm.SUCCESS
end

function slurm_cli_setup_defaults(options, early_pass)
  return slurm.SUCCESS
end

function slurm_cli_post_submit(pack_offset, job_id, step_id)
  return slurm.SUCCESS
end
