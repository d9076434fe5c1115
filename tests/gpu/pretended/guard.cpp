// All that autograd asks of a GPU, on a torch that was built without CUDA: a device guard and hooks
// that do nothing. The streams that order work are Python's, see device.py.
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

using Kind = c10::DeviceType;

struct PretendedGuard final : c10::impl::NoOpDeviceGuardImpl<Kind::CUDA> {
  c10::Device getDevice() const override { return c10::Device(Kind::CUDA, 0); }
  c10::Device exchangeDevice(c10::Device) const override { return getDevice(); }
  c10::Stream getStream(c10::Device device) const noexcept override {
    return c10::Stream(c10::Stream::DEFAULT, device.has_index() ? device : getDevice());
  }
  c10::Stream exchangeStream(c10::Stream stream) const noexcept override { return stream; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex,
              const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
};

struct PretendedHooks final : at::CUDAHooksInterface {
  explicit PretendedHooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  int getNumGPUs() const override { return 1; }
  c10::DeviceIndex current_device() const override { return 0; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
};

static c10::impl::DeviceGuardImplRegistrar registrar(Kind::CUDA, new PretendedGuard());

namespace at {
using CUDAHooks = PretendedHooks;
REGISTER_CUDA_HOOKS(CUDAHooks)
}  // namespace at
